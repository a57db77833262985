"""Threads that share a model: each gets what it would get alone, or an error in words."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import NoiseError
from dropsmith.noise import ForwardPass, Noise, turn

THREADS, CALLS = 8, 200
PATIENCE = 120
"""Seconds that a thread waits for another, on a machine that may be busy."""


class Functional(nn.Module):
    """Dropout by calls, beside a normalisation that must keep its statistics."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

    def forward(self, x):
        hidden = nn.functional.dropout(self.norm(self.first(x)).relu(), 0.3, self.training)
        return self.last(hidden)


def by_modules():
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.AlphaDropout(0.1), nn.Linear(16, 3)
    )


def planned():
    net = by_modules()
    ds.Plan(ds.rule("2", ds.Bernoulli(rate=0.4))).install(net)
    return net


def attention():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    return nn.Sequential(
        nn.Linear(6, 8), nn.Unflatten(0, (-1, 1)), layer, nn.Flatten(), nn.Linear(8, 3)
    )


MODELS = {"modules": by_modules, "calls": Functional, "plan": planned, "attention": attention}


def state_of(model):
    """All that a caller may see of a model, and of the process."""
    hooks = [
        (len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in model.modules()
    ]
    settings = [
        {k: v for k, v in vars(m).items() if isinstance(v, bool | int | float)}
        for m in model.modules()
    ]
    tensors = [x.clone() for x in (*model.parameters(), *model.buffers())]
    return hooks, settings, tensors, torch.get_rng_state()


def assert_same_state(before, after):
    assert before[:2] == after[:2]
    for first, second in zip(before[2], after[2], strict=True):
        torch.testing.assert_close(second, first, rtol=0, atol=0)
    assert torch.equal(before[3], after[3])


ROWS = 4


class Meeting(nn.Module):
    """Between a site and the next, a plain forward waits until a prediction has begun its pass."""

    def __init__(self):
        super().__init__()
        self.first, self.dropout, self.last = nn.Linear(6, 16), nn.Dropout(0.3), nn.Linear(16, 3)
        self.plain, self.plain_waits, self.prediction_began = 0, None, None

    def forward(self, x):
        hidden = self.first(x)
        if threading.get_ident() == self.plain:
            self.plain_waits.set()
            self.prediction_began.wait(PATIENCE)
        elif self.prediction_began is not None and len(x) > ROWS:  # the samples, stacked
            self.prediction_began.set()
            self.plain_ended.wait(PATIENCE)
        return self.last(self.dropout(hidden))


def test_a_forward_that_a_prediction_meets_is_refused_and_the_prediction_is_as_alone():
    torch.manual_seed(0)
    model, x = Meeting().eval(), torch.randn(ROWS, 6)
    alone = ds.predict(model, x, samples=5).mean
    model.plain_waits, model.prediction_began = threading.Event(), threading.Event()
    model.plain_ended, outcomes = threading.Event(), []

    def plain():
        model.plain = threading.get_ident()
        try:
            outcomes.append(model(x))
        except NoiseError as error:
            outcomes.append(error)
        finally:
            model.plain_ended.set()

    thread = threading.Thread(target=plain)
    thread.start()
    model.plain_waits.wait(PATIENCE)
    mean = ds.predict(model, x, samples=5).mean
    thread.join()
    torch.testing.assert_close(mean, alone, rtol=0, atol=0)
    assert isinstance(outcomes[0], NoiseError)
    assert "another thread is running this model" in str(outcomes[0])


def test_a_plan_is_taken_off_in_its_threads_turn():
    model = by_modules()
    plan, other = (ds.Plan(ds.rule("2", ds.Bernoulli(rate=rate))) for rate in (0.4, 0.1))
    plan.install(model)
    with ThreadPoolExecutor(1) as pool:
        with turn:  # as a prediction under a plan of its own has it
            plan.remove(model)
            other.install(model)
            removal = pool.submit(plan.remove, model)
            time.sleep(0.3)
            other.remove(model)
            plan.install(model)
        removal.result(PATIENCE)
    assert ds.plan_of(model) is None


def test_a_pass_that_a_forward_of_another_thread_began_in_is_refused():
    noise = Noise()

    def intrude():
        noise.current, noise.thread = ForwardPass(), threading.get_ident()

    def run():
        with noise.passing(ForwardPass(views=(0, 1))), ThreadPoolExecutor(1) as pool:
            pool.submit(intrude).result()

    before = noise.current
    with pytest.raises(NoiseError, match="another thread is running this model"):
        run()
    assert noise.current is before
    assert not noise.pass_is_set


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_predictions_from_a_pool_of_threads_are_those_of_one(name, training):
    torch.manual_seed(3)
    model = MODELS[name]().train(training)
    batches = [torch.randn(4, 6) for _ in range(5)]
    want = [ds.predict(model, x, samples=3, seed=1).mean for x in batches]
    before = state_of(model)
    with ThreadPoolExecutor(THREADS) as pool:
        calls = CALLS if name == "modules" else 24
        jobs = [
            pool.submit(ds.predict, model, batches[i % 5], samples=3, seed=1) for i in range(calls)
        ]
        got = [job.result().mean for job in jobs]
    for i, mean in enumerate(got):
        assert torch.equal(mean, want[i % 5])
    assert_same_state(before, state_of(model))


def test_whatever_looks_at_a_model_may_be_called_from_many_threads():
    torch.manual_seed(3)
    model, other, x = by_modules().train(), by_modules().train(), torch.randn(4, 6)
    plan = ds.Plan(ds.rule("2", ds.Bernoulli(rate=0.4)))
    tasks = [
        lambda: [site.name for site in ds.sites(model, x)],
        lambda: [row.site.name for row in ds.audit(model, x).rows if row.on],
        lambda: ds.predict(model, x, samples=3).mean.tolist(),
        lambda: len(ds.views(model, x, 3)),
        lambda: ds.predict(other, x, samples=3, plan=plan).mean.tolist(),
    ]
    want = [task() for task in tasks]
    before = state_of(model)[:3]
    with ThreadPoolExecutor(THREADS) as pool:
        got = [job.result() for job in [pool.submit(task) for task in tasks * 10]]
    assert got == want * 10
    assert_same_state((*before, torch.zeros(1)), (*state_of(model)[:3], torch.zeros(1)))


class Waits(nn.Module):
    """Stops in its forward until it may go on, so that another thread can come between."""

    def __init__(self):
        super().__init__()
        self.began, self.go_on = threading.Event(), threading.Event()

    def forward(self, x):
        self.began.set()
        assert self.go_on.wait(PATIENCE)
        return x


@pytest.fixture
def half_way():
    """A model whose forward stops half way in the first thread that calls it."""
    wait = Waits()
    return nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), wait, nn.Linear(16, 3)), wait


def in_other_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).exception(PATIENCE)


def while_it_runs(model, wait, first, second):
    """The errors of `first`, which runs the model in a thread, and of `second`, meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(first)
        assert wait.began.wait(PATIENCE)
        try:
            error = in_other_thread(second)
        finally:
            wait.go_on.set()
        return job.exception(PATIENCE), error


def test_two_training_forwards_of_a_model_with_a_plan_may_not_overlap(half_way):
    model, wait = half_way
    ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.4))).install(model)
    x = torch.randn(4, 6)
    first, second = while_it_runs(model, wait, lambda: model(x), lambda: model(x))
    assert first is None
    assert isinstance(second, NoiseError)
    assert "another thread" in str(second)
    model(x)  # and afterwards it runs as before


@pytest.mark.parametrize("consistent", [True, False])
def test_an_overlap_is_refused_as_often_as_it_is_tried(half_way, consistent):
    model, wait = half_way
    ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.4))).install(model)
    x, labels, losses = torch.randn(4, 6), torch.tensor([0, 1, 2, 0]), []
    if consistent:
        ds.consistent(model, ds.RDrop(alpha=1.0), loss="classification")
    kwargs = {"labels": labels} if consistent else {}
    wait.go_on.set()
    for _ in range(2):
        model(x, **kwargs)
    ds.step(model, 1)
    want = model(x, **kwargs)
    ds.step(model, 1)
    wait.go_on.clear()
    wait.began.clear()
    errors = []

    def overlap():
        for _ in range(3):
            try:
                model(x, **kwargs)
            except NoiseError as error:
                errors.append(error)

    first, second = while_it_runs(model, wait, lambda: losses.append(model(x, **kwargs)), overlap)
    assert (first, second) == (None, None)
    assert len(errors) == 3
    got = losses[0]
    torch.testing.assert_close(got.loss if consistent else got, want.loss if consistent else want)


def interrupted(model, module, call):
    """Make a call of the model that is interrupted from the keyboard inside one of its modules."""

    def interrupt(module, args):
        raise KeyboardInterrupt

    handle = module.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        call()
    handle.remove()


@pytest.mark.parametrize("mode", ["auto", "looped"])
@pytest.mark.parametrize("planned", [True, False])
def test_a_step_after_one_that_was_interrupted_is_as_any_other(mode, planned):
    torch.manual_seed(0)
    batches = [(torch.randn(rows, 6), torch.arange(rows) % 3) for rows in (4, 4, 7)]
    losses = []
    for interrupts in (False, True):
        torch.manual_seed(1)
        model = by_modules().train()
        ds.consistent(model, ds.RDrop(alpha=1.0), loss="classification", mode=mode)
        if planned:
            ds.Plan(ds.rule("*", ds.Bernoulli(rate=0.4))).install(model)
        for x, labels in batches[:2]:
            model(x, labels=labels)
        if interrupts:
            interrupted(model, model[4], partial(model, batches[0][0], labels=batches[0][1]))
        ds.step(model, 5)
        torch.manual_seed(2)
        losses.append(model(batches[2][0], labels=batches[2][1]).loss)
    torch.testing.assert_close(losses[1], losses[0])


def raise_interrupt(x):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["2", "0.weight"])
def test_a_plan_that_is_taken_off_after_an_interrupt_leaves_nothing(name):
    model, x = by_modules().train(), torch.randn(4, 6)
    pattern = ds.DropConnect(rate=0.4) if name.endswith("weight") else ds.Bernoulli(rate=0.4)
    before = state_of(model)[:2]
    with ds.Plan(ds.rule(name, pattern)).installed(model):
        module = model[int(name[0])]
        module.forward = raise_interrupt
        with pytest.raises(KeyboardInterrupt):
            model(x)
        del module.forward
    assert state_of(model)[:2] == before
    assert "weight" not in vars(model[0])


def test_a_child_that_was_forked_during_a_turn_has_its_own():
    began, go_on = threading.Event(), threading.Event()

    def hold():
        with turn:
            began.set()
            go_on.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert began.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        with turn:
            os._exit(0)
    deadline = time.monotonic() + 20
    while (status := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    go_on.set()
    thread.join()
    if status == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert status == (child, 0)


LOOKING = {
    "predict": lambda model, x: ds.predict(model, x, samples=2),
    "audit": ds.audit,
    "sites": ds.sites,
    "install": lambda model, x: ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.4))).install(model, x),
    "views": lambda model, x: ds.views(model, x),
}


@pytest.mark.parametrize("name", LOOKING)
def test_training_a_model_at_which_another_thread_looks_is_refused(half_way, name):
    model, wait = half_way
    x = torch.randn(4, 6)
    before = state_of(model)[:2]
    first, second = while_it_runs(
        model, wait, lambda: LOOKING[name](model, x), lambda: model(x).sum().backward()
    )
    assert first is None
    assert isinstance(second, NoiseError)
    assert "give each thread a copy" in str(second)
    if name != "install":
        assert state_of(model)[:2] == before
    model(x)  # and afterwards it trains as before


@pytest.mark.parametrize("name", LOOKING)
def test_evaluating_such_a_model_is_as_alone_or_is_refused(half_way, name):
    model, wait = half_way
    model.eval()
    x, outputs = torch.randn(4, 6), []

    def evaluate():
        wait.go_on.set()
        outputs.append(model(x))

    first, second = while_it_runs(model, wait, lambda: LOOKING[name](model, x), evaluate)
    assert first is None
    assert second is None or isinstance(second, NoiseError)
    for output in outputs:
        torch.testing.assert_close(output, model(x))


def test_forwards_in_eval_mode_may_overlap(half_way):
    model, wait = half_way
    ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.4))).install(model)
    model.eval()
    x = torch.randn(4, 6)

    def second():
        wait.go_on.set()
        model(x)

    assert while_it_runs(model, wait, lambda: model(x), second) == (None, None)


def test_predicting_while_another_thread_trains_is_refused(half_way):
    model, wait = half_way
    ds.consistent(model, ds.RDrop(alpha=1.0), loss="classification")
    x, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    wait.go_on.set()
    model(x, labels=labels).loss.backward()  # the layout of the batch is known from here on
    wait.go_on.clear()
    wait.began.clear()
    first, second = while_it_runs(
        model, wait, lambda: model(x, labels=labels), lambda: ds.predict(model, x, samples=2)
    )
    assert first is None
    assert isinstance(second, NoiseError)


def test_a_thread_that_was_interrupted_does_not_bar_the_others():
    model, x = by_modules().train(), torch.randn(4, 6)
    ds.Plan(ds.rule("2", ds.Bernoulli(rate=0.4))).install(model)

    def interrupt(module, args):
        raise KeyboardInterrupt

    handle = model[4].register_forward_pre_hook(interrupt)

    def run():
        with pytest.raises(KeyboardInterrupt):
            model(x)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    handle.remove()
    model(x)


def test_a_turn_that_fails_is_given_back():
    with pytest.raises(Exception, match=r"sizes|shape|mat1"):
        ds.predict(by_modules(), torch.randn(4, 5))
    taken = []

    def take_turn():
        with turn:
            taken.append(True)

    thread = threading.Thread(target=take_turn, daemon=True)
    thread.start()
    thread.join(5)
    assert taken == [True]
