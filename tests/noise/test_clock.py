"""Every call of a model draws anew, whoever is in train mode, and training masks do not notice."""

import pickle
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, jvp, vmap
from torch.utils.checkpoint import checkpoint

from dropsmith.errors import NoiseError
from dropsmith.noise import noise_of, step
from dropsmith.noise.clock import CALL, STEP, Clock
from dropsmith.patterns import Bernoulli, Gaussian, StochasticDepth
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, mlp, seeded


class AlwaysOn(nn.Module):
    """Noise that its own code never switches off."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 16)

    def forward(self, x):
        return F.dropout(self.layer(x), 0.5, True)


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.drop, self.leave = nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 3)

    def forward(self, x):
        return self.leave(checkpoint(lambda h: self.drop(self.enter(h)), x, use_reentrant=False))


def monte_carlo(model):
    """The usual loop: all in eval mode, dropout in train mode."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    return model


MODELS = {
    "dropout": (mlp, "1"),
    "functional": (AlwaysOn, "root.dropout()"),
    "checkpointed": (Checkpointed, "drop"),
}


def planned(kind, pattern=FLIPS):
    torch.manual_seed(1)
    make, site = MODELS[kind]
    model = make()
    Plan(rule(site, pattern)).install(model, seeded(5, 8), seed=3)
    return model


@pytest.mark.parametrize(
    "pattern", [FLIPS, Gaussian(rate=0.5), StochasticDepth(rate=0.5)], ids=repr
)
@pytest.mark.parametrize("kind", MODELS)
def test_calls_of_a_model_in_eval_mode_draw_anew_where_its_noise_is_on(kind, pattern):
    model, x = monte_carlo(planned(kind, pattern)), seeded(64, 8)
    outputs = [model(x) for _ in range(4)]
    assert not any(torch.equal(a, b) for i, a in enumerate(outputs) for b in outputs[:i])


@pytest.mark.parametrize("kind", MODELS)
def test_the_same_calls_come_back_from_the_same_step(kind):
    model, x = monte_carlo(planned(kind)), seeded(5, 8)
    first = [model(x) for _ in range(3)]
    step(model, 0)
    again = [model(x) for _ in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("kind", MODELS)
def test_masks_of_training_do_not_depend_on_how_often_a_model_was_evaluated(kind):
    plain, evaluated, x = planned(kind), planned(kind), seeded(5, 8)
    for calls in range(3):
        for _ in range(calls):
            monte_carlo(evaluated)(x)
        assert torch.equal(plain.train()(x), evaluated.train()(x))
    assert noise_of(evaluated).clock.numbers == (3, 0)


def test_backward_of_a_checkpointed_call_in_eval_mode_sees_the_masks_of_its_forward():
    model, x = monte_carlo(planned("checkpointed")), seeded(5, 8)
    outputs = [model(x) for _ in range(3)]
    for output in reversed(outputs):
        model.zero_grad()
        output.sum().backward()
        # Each unit's gradient is that of the leaving layer where it was kept: by hand, from the
        # forward alone, d sum / d weight of `leave` is the sum of the hidden units that it saw.
        hidden = model.leave.weight.grad[0]
        units = model.enter.bias.grad
        kept = units / (2 * model.leave.weight.sum(0))
        assert torch.allclose(kept, kept.round(), atol=1e-4)
        assert bool(((kept.round() == 0) <= (hidden.abs() < 1e-6)).all())


@pytest.mark.slow
def test_compiled_code_in_eval_mode_draws_what_eager_code_draws():
    torch._dynamo.reset()
    eager, traced, x = (monte_carlo(planned("dropout")) for _ in range(2)), None, seeded(5, 8)
    eager, traced = eager
    compiled = torch.compile(traced, backend="aot_eager", fullgraph=True)
    for _ in range(3):
        assert torch.equal(compiled(x), eager(x))
    assert noise_of(traced).clock.numbers == (0, 3)
    # Eager and compiled calls are counted together.
    traced(x), eager(x)
    assert torch.equal(compiled(x), eager(x))
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_an_exported_program_in_train_mode_draws_anew_and_exporting_counts_no_step(strict):
    model, x = planned("dropout").train(), seeded(5, 8)
    model(x), model(x)
    before = list(model.state_dict())
    program = torch.export.export(model, (x,), strict=strict).module()
    assert noise_of(model).clock.numbers == (2, 0)
    assert list(model.state_dict()) == before
    for _ in range(3):
        assert torch.equal(program(x), model(x))


def test_the_two_numbers_move_copy_and_pickle_with_the_model():
    model, x = planned("dropout").train(), seeded(5, 8)
    model(x)
    assert not {STEP, CALL} & set(model.state_dict())
    copies = [deepcopy(model), pickle.loads(pickle.dumps(model))]
    want = model(x)
    for copy in copies:
        assert noise_of(copy).step == 1
        assert torch.equal(copy(x), want)
        assert int(copy.get_buffer(STEP)) == noise_of(copy).step == 2
    model.half().double().to("meta")
    assert noise_of(model).step == 2


def test_a_clock_goes_on_under_transforms_of_functions():
    clock = Clock()

    def value(x):
        clock.begin(training=True)
        return (x * clock.numbers[0]).sum()

    x = torch.ones(3)
    assert grad(value)(x).tolist() == [1, 1, 1]
    assert vmap(value)(torch.ones(2, 3)).tolist() == [6, 6]
    clock.begin(training=True)
    assert [int(tensor) for tensor in clock.tensors] == [3, 0]


def test_a_rate_on_a_schedule_is_not_moved_by_calls_that_do_not_train():
    from dropsmith.patterns import EarlyRate

    model, x = planned("dropout", Bernoulli(rate=EarlyRate(rate=0.5, steps=2))), seeded(5, 8)
    monte_carlo(model)
    for _ in range(5):
        assert not torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model(x), model(x))


def test_a_whole_model_that_is_checkpointed_has_its_masks_again_or_is_refused():
    model, x = planned("dropout").train(), seeded(5, 8)
    plain = deepcopy(model)
    losses = [checkpoint(model, x, use_reentrant=False).square().sum() for _ in range(2)]
    sum(losses).backward()
    sum(plain(x).square().sum() for _ in range(2)).backward()
    for got, want in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got.grad, want.grad)
    assert noise_of(model).step == 2
    output = checkpoint(model, x.requires_grad_(), use_reentrant=True)
    with pytest.raises(NoiseError, match="use_reentrant=False"):
        output.sum().backward()


class Plain(Bernoulli):
    """Flips whose product is torch's own, which every transform of functions takes."""

    def drop(self, x, names, sources):
        return x * self.masks(tuple(x.shape), names, sources)


def test_gradients_of_each_example_are_those_of_the_examples_by_themselves():
    model, x = planned("dropout", Plain(rate=0.5)).train(), seeded(5, 8)
    parameters = dict(model.named_parameters())

    def loss(parameters, row):
        return functional_call(model, parameters, (row[None],)).square().sum()

    together = vmap(grad(loss), (None, 0), randomness="same")(parameters, x)
    assert noise_of(model).step == 1
    for index, row in enumerate(x):
        step(model, 0)
        alone = torch.autograd.grad(model(row[None]).square().sum(), list(model.parameters()))
        for got, want in zip(together.values(), alone, strict=True):
            torch.testing.assert_close(got[index], want)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch compiles rules of jvp by its jit
def test_directional_derivatives_and_calls_with_other_buffers_have_the_masks_of_the_step():
    model, x = planned("dropout", Plain(rate=0.5)).train(), seeded(5, 8)
    want = model(x)
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    step(model, 0)
    got, slope = jvp(lambda x: functional_call(model, parameters, (x,)), (x,), (x,))
    assert torch.equal(got, want)
    assert slope.shape == got.shape
    step(model, 0)
    assert torch.equal(functional_call(model, (parameters, buffers), (x,)), want)
