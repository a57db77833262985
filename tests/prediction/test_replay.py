import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.replay import Player, Recorder, Script, through
from dropsmith.prediction.run_predict import predict
from dropsmith.prediction.tensor_usage import TensorUsage
from prediction.noisy import InPlace, Twice, image_net, net, seeded


def counted(model):
    """How many rows each module saw in the runs on all five rows or more."""
    rows = {name: 0 for name, _ in model.named_modules()}
    handles = []
    for name, module in model.named_modules():
        original = type(module).forward

        def forward(*args, name=name, module=module, original=original, **kwargs):
            if len(args[0]) >= 5:
                rows[name] += len(args[0])
            return original(module, *args, **kwargs)

        module.__dict__["forward"] = forward
        handles.append(module)
    return rows


def test_what_comes_before_the_first_draw_runs_once_and_the_rest_for_every_sample():
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)), nn.Dropout(0.5), nn.Linear(4, 2))
    rows = counted(model)
    predict(model, seeded(5, 4), samples=20)
    # The dropout module itself computes nothing: our hook on it drops for every sample.
    assert {name: rows[name] for name in "01234"} == {"0": 5, "1": 5, "2": 5, "3": 5, "4": 100}


def test_every_module_runs_for_every_sample_without_replay():
    model = net()
    rows = counted(model)
    predict(model, seeded(5, 4), samples=20, replay=False)
    assert {rows[name] for name in "0123"} == {100}


def test_noise_on_a_modules_own_output_falls_anew_on_what_is_replayed():
    model = nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 2))
    rows = counted(model)
    plan = Plan(rule("0", Bernoulli(rate=0.5)))
    prediction = predict(model, seeded(5, 4), samples=20, plan=plan)
    assert (rows["0"], rows["1"]) == (5, 100)
    assert (prediction.variance > 0).all()


def test_a_forward_that_was_replaced_before_is_kept():
    model = net()
    mine = model[0].forward
    model[0].__dict__["forward"] = mine
    predict(model, seeded(5, 4), samples=3)
    assert model[0].__dict__["forward"] is mine


class Switch:
    """Stands in for a sampler: drawn once the noisy module has run."""

    def __init__(self, module):
        self.on = False
        module.register_forward_hook(self)

    def __call__(self, module, given, output):
        self.on = True


def recorded(model, x, noisy):
    switch = Switch(noisy)
    recorder = Recorder(lambda: switch.on)
    with torch.no_grad(), through(model, recorder):
        want = model(x)
    return recorder.entries, want


def dims(entries, dim=0):
    return {entry.number: [dim] for entry in entries if entry.has_output}


def test_only_the_outermost_of_modules_that_finished_before_noise_are_held():
    inner, outer = nn.Sequential(nn.Linear(2, 2), nn.Tanh()), nn.Sequential(nn.ELU(), nn.GELU())
    entries, _ = recorded(nn.Sequential(inner, outer), torch.ones(3, 2), outer[0])
    assert [entry.module for entry in entries] == [inner, outer, outer[0]]
    assert [entry.has_output for entry in entries] == [True, False, True]


@pytest.mark.parametrize("copies", [1, 3])
def test_replayed_rows_are_repeated_sample_after_sample(copies):
    model = Twice().eval()
    x = seeded(2, 8)
    entries, want = recorded(model, x, model.drop)
    numbers = [entry.number for entry in entries if entry.has_output]
    script = Script(dims={number: [0] for number in numbers}, values=frozenset(numbers))
    with torch.no_grad(), through(model, Player(entries, script, copies)):
        got = model(torch.cat([x] * copies))
    torch.testing.assert_close(got, torch.cat([want] * copies))


def test_what_only_replayed_modules_are_given_is_not_kept():
    model = image_net().eval()
    x = seeded(2, 1, 8, 8)
    entries, want = recorded(model, x, model[4])
    everything = Script(dims=dims(entries), values=frozenset(dims(entries)))
    player = Player(entries, everything)
    player.uses = TensorUsage()
    with torch.no_grad(), through(model, player), player.uses:
        torch.testing.assert_close(model(x), want)
    assert player.uses.calls_in_use == {entries[-1].number}


def test_tensors_that_are_not_needed_take_no_room():
    model = image_net().eval()
    x = seeded(2, 1, 8, 8)
    switch = Switch(model[4])
    entries, _ = recorded(model, x, model[4])
    switch.on = False
    script = Script(dims=dims(entries), values=frozenset({entries[-1].number}))
    recorder = Recorder(lambda: switch.on, script)
    with torch.no_grad(), through(model, recorder):
        model(x)
    rooms = [
        entry.output.untyped_storage().nbytes() for entry in recorder.entries if entry.has_output
    ]
    assert recorder.follows_script
    assert rooms == [4] * (len(rooms) - 1) + [entries[-1].output.nbytes]


def test_work_in_place_between_modules_does_not_pile_up():
    model, words = InPlace(), torch.arange(30).view(5, 6) % 10
    plain = predict(model, words, samples=6, mode="looped", replay=False, keep=True)
    for mode in ("auto", "looped"):
        torch.testing.assert_close(
            predict(model, words, 6, mode=mode, keep=True).draws, plain.draws
        )


def test_a_path_that_was_not_tried_is_computed_and_not_replayed():
    class Forks(nn.Module):
        """Takes another way with many rows than with the few it is tried on."""

        def __init__(self):
            super().__init__()
            self.few, self.many, self.drop = nn.Linear(4, 4), nn.Linear(4, 4), nn.Dropout(0.5)

        def forward(self, x):
            h = self.many(self.many(x)) if len(x) > 4 else self.few(x)
            return self.drop(h)

    model = Forks()
    plain = predict(model, seeded(6, 4), samples=4, mode="looped", replay=False, keep=True)
    torch.testing.assert_close(
        predict(model, seeded(6, 4), samples=4, mode="looped", keep=True).draws, plain.draws
    )


def test_code_that_torch_does_not_show_makes_replay_give_way():
    class Hidden(nn.Module):
        """Reads a tensor behind torch's back."""

        def __init__(self):
            super().__init__()
            self.below, self.above = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            h = self.below(x)
            with torch._C.DisableTorchFunction():
                shift = h.mean().item()
            return F.dropout(self.above(h) + shift, 0.5, self.training)

    model = Hidden()
    plain = predict(model, seeded(6, 4), samples=4, replay=False, keep=True)
    torch.testing.assert_close(
        predict(model, seeded(6, 4), samples=4, keep=True).draws, plain.draws
    )


class Unlike(nn.Module):
    """Returns an output that has an entry its own class does not take."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        output = BaseModelOutput(last_hidden_state=self.inner(x))
        output["router_logits"] = x
        return output


class OnTop(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.drop, self.head = Unlike(), nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.drop(self.body(x).last_hidden_state))


def test_an_output_that_cannot_be_made_again_is_run_and_the_modules_inside_it_are_replayed():
    torch.manual_seed(0)
    model, x = OnTop(), seeded(3, 4)
    fast = predict(model, x, 6, keep=True)
    slow = predict(model, x, 6, keep=True, mode="looped", replay=False)
    assert fast.draws is not None
    torch.testing.assert_close(fast.draws, slow.draws)


class Collecting(nn.Module):
    """Returns what a hook inside it collected, as outputs are captured in transformers."""

    def __init__(self, wrap):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.drop = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Dropout(0.5)
        self.head, self.wrap = nn.Linear(4, 3), wrap

    def forward(self, x):
        collected = []
        handle = self.body[0].register_forward_hook(lambda *args: collected.append(args[2]))
        logits = self.head(self.drop(self.body(x)))
        handle.remove()
        return {"logits": logits, "collected": self.wrap(collected)}


@pytest.mark.parametrize("wrap", [tuple, lambda parts: tuple(parts) or None], ids=["empty", "none"])
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_an_output_that_lacks_what_hooks_collect_makes_replay_give_way(wrap, mode):
    model, x = Collecting(wrap), seeded(3, 4)
    fast = predict(model, x, 6, keep=True, mode=mode)
    slow = predict(model, x, 6, keep=True, mode="looped", replay=False)
    torch.testing.assert_close(fast.draws, slow.draws)
