"""Views are the same however their passes are made, and each has the noise it should have."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import ViewError
from dropsmith.noise.lookup import noise_of, plan_of, step
from dropsmith.passes.make_views import views
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    DropConnect,
    Gaussian,
    Spans,
    StochasticDepth,
    Tiles,
    TorchDropout,
    WordDropout,
)
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import (
    FLIPS,
    KINDS,
    ROWS,
    TIME,
    WIDTH,
    copying_rnn,
    fitting,
    mirrors,
    mlp,
    of_ones,
    seeded,
    sentences,
    tiny_bert,
    tiny_gpt2,
)

X = seeded(ROWS, WIDTH)


def reflected(model, batch, n=2, **how):
    """What each view's mask was, from a model that shows it."""
    outputs = views(model, batch, n, **how).outputs
    return [(out[0] if isinstance(out, tuple) else out).detach() for out in outputs]


STACKABLE = [kind for kind in KINDS if kind != "weight"]
BOTH_SHARINGS = pytest.mark.parametrize("sharing", ["fresh", "shared"])


@BOTH_SHARINGS
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("kind", STACKABLE)
def test_stacked_and_looped_views_have_the_same_masks_to_the_bit(kind, n, sharing):
    mirror = mirrors()[kind]
    mirror.plan(views=sharing).install(mirror.model, seed=3)
    stacked = reflected(mirror.model, mirror.batch, n, mode="stacked")
    step(mirror.model, 0)
    looped = reflected(mirror.model, mirror.batch, n, mode="looped")
    for together, alone in zip(stacked, looped, strict=True):
        assert torch.equal(together == 0, alone == 0)
        torch.testing.assert_close(together, alone)
    assert torch.equal(stacked[0], stacked[1]) == (sharing == "shared")


IMAGE, SEQUENCE = torch.ones(4, 3, 6, 7), torch.ones(4, TIME, WIDTH)
PATTERNS = [
    (Bernoulli(rate=0.5, shared="time"), SEQUENCE),
    (Bernoulli(rate=0.5, shared="batch"), SEQUENCE),
    (Bernoulli(rate=0.5, shared="batch time"), SEQUENCE),
    (Gaussian(rate=0.3), SEQUENCE),
    (Gaussian(rate=0.3, shared="time"), SEQUENCE),
    (StochasticDepth(rate=0.5), SEQUENCE),
    (DropBlock(rate=0.3, size=2), SEQUENCE),
    (DropBlock(rate=0.3, size=3), IMAGE),
    (Tiles(size=2, stride=1, rotate=20), IMAGE),
    (Tiles(size=3, stride=1, repeat=2, shared="channel"), IMAGE),
    (Spans(size=2, stride=2), SEQUENCE),
    (Bernoulli(rate=0.5, shared="height width"), IMAGE),
]


@BOTH_SHARINGS
@pytest.mark.parametrize(("pattern", "x"), PATTERNS, ids=repr)
def test_every_pattern_on_activations_is_the_same_stacked_and_looped(pattern, x, sharing):
    axes = "batch time unit" if x.ndim == 3 else "batch channel height width"
    net = nn.Sequential(nn.Identity())
    Plan(rule("0", pattern, views=sharing, axes=axes)).install(net)
    stacked = reflected(net, x, mode="stacked")
    step(net, 0)
    looped = reflected(net, x, mode="looped")
    assert all(torch.equal(a, b) for a, b in zip(stacked, looped, strict=True))
    assert torch.equal(stacked[0], stacked[1]) == (sharing == "shared")


@BOTH_SHARINGS
@pytest.mark.parametrize("per", ["row", "table"])
def test_words_are_the_same_stacked_and_looped_and_fall_together_within_a_view(per, sharing):
    net = nn.Sequential(of_ones(nn.Embedding(50, 2)))
    ids = torch.arange(50).repeat(4, 2)
    Plan(rule("0", WordDropout(rate=0.5, per=per), views=sharing)).install(net)
    stacked = reflected(net, ids, mode="stacked")
    step(net, 0)
    assert all(map(torch.equal, stacked, reflected(net, ids, mode="looped")))
    for view in stacked:
        assert torch.equal(view[:, :50], view[:, 50:])
        assert torch.equal(view[0], view[1]) == (per == "table")
    assert torch.equal(stacked[0], stacked[1]) == (sharing == "shared")


@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_outputs_and_gradients_of_hugging_face_models_agree_stacked_and_looped(make):
    batch = sentences()
    found = []
    for mode in ("stacked", "looped"):
        model = make()
        plan = Plan(*(r for r in fitting(model).rules if not isinstance(r.pattern, DropConnect)))
        plan.install(model)
        first, second = (out.last_hidden_state for out in views(model, batch, mode=mode).outputs)
        (first - second).square().sum().backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        found.append(([first, second], grads))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(*found[0][0])


class Pair(NamedTuple):
    scores: Tensor
    rows: Tensor


@dataclass
class Fields:
    scores: Tensor
    parts: list
    note: str = "n"


class Returns(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(F.dropout(x, 0.5, self.training))


SHAPES = {
    "tensor": (lambda x: x, lambda out: out),
    "tuple": (lambda x: (x, 3), lambda out: out[0]),
    "named tuple": (lambda x: Pair(x, x.sum(1)), lambda out: out.scores),
    "dict": (lambda x: {"a": {"b": x}, "c": None}, lambda out: out["a"]["b"]),
    "dataclass": (lambda x: Fields(x, [x, 2]), lambda out: out.scores),
}


@pytest.mark.parametrize("mode", ["stacked", "looped"])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_view_has_what_the_model_returns_in_its_own_shape(shape, mode):
    make, read = SHAPES[shape]
    net = nn.Sequential(Returns(make))
    made = views(net, torch.ones(ROWS, 50), mode=mode)
    assert len(made) == 2
    first, second = (read(out) for out in made.outputs)
    assert first.shape == second.shape == (ROWS, 50)
    assert not torch.equal(first, second)
    assert all(type(out) is type(make(torch.ones(1, 1))) for out in made.outputs)


def test_what_has_no_rows_goes_to_every_view():
    net = nn.Sequential(Returns(lambda x: (x, torch.arange(3), "note")))
    for _, other, note in views(net, torch.ones(ROWS, 5), mode="stacked").outputs:
        assert torch.equal(other, torch.arange(3))
        assert note == "note"


def test_fields_of_a_dataclass_are_cut_inside_too():
    net = nn.Sequential(Returns(lambda x: Fields(x, [x, 2])))
    for out in views(net, torch.ones(ROWS, 5), mode="stacked").outputs:
        assert torch.equal(out.parts[0], out.scores)
        assert (out.parts[1], out.note) == (2, "n")


def test_hugging_face_outputs_keep_their_class_and_all_fields_are_cut():
    model = tiny_bert(rate=0.1)
    made = views(model, sentences() | {"output_hidden_states": True}, mode="stacked")
    for out in made.outputs:
        assert type(out) is type(model(**sentences()))
        assert out.pooler_output.shape == (ROWS, WIDTH)
        assert [hidden.shape[0] for hidden in out.hidden_states] == [ROWS] * 3


@pytest.mark.parametrize("mode", ["stacked", "looped"])
def test_every_view_starts_from_the_same_recurrent_state_and_returns_its_own(mode):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.0))
    net.lstm = nn.LSTM(WIDTH, 6, 2, batch_first=True, bidirectional=True)
    net.forward = lambda x, state: net.lstm(net[0](x), state)
    x, state = seeded(3, 5, WIDTH), (seeded(4, 3, 6), seeded(4, 3, 6, seed=1))
    want, (h, c) = net.lstm(x, state)
    Plan(rule("0", FLIPS)).install(net)
    made = views(net, (x, state), mode=mode)
    assert made.outputs[0][1][0].shape == (4, 3, 6)
    assert not torch.equal(made.outputs[0][1][0], made.outputs[1][1][0])
    for out, (first, second) in views(net.eval(), (x, state), mode=mode).outputs:
        torch.testing.assert_close((out, first, second), (want, h, c))


@pytest.mark.parametrize(
    "batch",
    [X, (X,), {"input": X}, {"input": X, "labels": torch.zeros(ROWS)}],
    ids=["tensor", "tuple", "dict", "with labels"],
)
def test_batches_of_every_form_give_the_same_views(batch):
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    want = views(net, X).outputs
    step(net, 0)
    made = views(net, batch)
    assert all(torch.equal(a, b) for a, b in zip(made.outputs, want, strict=True))
    assert made.batches[0] is batch
    assert made.shared_rows == ROWS


def test_a_call_counts_one_step_however_many_views_and_none_in_eval_mode():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    for mode in ("stacked", "looped"):
        views(net, X, 5, mode=mode)
    assert noise_of(net).step == 2
    views(net.eval(), X, mode="looped")
    assert noise_of(net).step == 2


def test_view_zero_is_what_the_model_alone_would_return():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    alone = net(X)
    step(net, 0)
    assert torch.equal(views(net, X, 3, mode="looped").outputs[0], alone)


def test_masks_of_weights_are_fresh_in_every_looped_view_and_refused_when_stacked():
    mirror = mirrors()["weight"]
    mirror.plan().install(mirror.model)
    for mode in ("auto", "looped"):
        first, second = reflected(mirror.model, mirror.batch, mode=mode)
        assert not torch.equal(first, second)
        assert torch.equal(first[0], first[1])
    with pytest.raises(ViewError, match="is a weight: the views of a stacked batch would share"):
        views(mirror.model, mirror.batch, mode="stacked")


def test_weights_that_views_share_may_be_stacked():
    mirror = mirrors()["weight"]
    mirror.plan(views="shared").install(mirror.model)
    first, second = reflected(mirror.model, mirror.batch, mode="stacked")
    assert torch.equal(first, second)
    assert not torch.equal(first, reflected(mirror.model, mirror.batch)[0])


@pytest.mark.parametrize("site", ["1", "0.weight", "1.dropout()"])
def test_a_noise_free_view_is_the_model_in_eval_mode(site):
    class Own(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5, self.training)

    net = nn.Sequential(nn.Linear(WIDTH, 9), Own(), nn.Dropout(0.5))
    want = net.eval()(X)
    net.train()
    pattern = DropConnect(rate=0.5) if "weight" in site else FLIPS
    for plan in (Plan(), Plan(rule(site, pattern))):
        with plan.installed(net):
            loud, noise_free = views(net, X, noise_free=(1,)).outputs
        assert torch.equal(noise_free, want)
        assert not torch.equal(loud, want)
    assert all(module.training for module in net.modules())


def test_a_noise_free_view_keeps_batch_norm_in_training():
    net = nn.Sequential(nn.Linear(WIDTH, 9), nn.BatchNorm1d(9), nn.Dropout(0.5))
    _, noise_free = views(net, X, noise_free=(1,)).outputs
    torch.testing.assert_close(noise_free.mean(0), torch.zeros(9), atol=1e-6, rtol=0)
    assert int(net[1].num_batches_tracked) == 2


def test_modes_come_back_when_a_noise_free_view_fails():
    class Fails(nn.Module):
        def forward(self, x):
            if not self.training:
                raise ValueError("quiet")
            return x

    net = nn.Sequential(Fails())
    with pytest.raises(ValueError, match="quiet"):
        views(net, X, noise_free=(1,))
    assert net[0].training


@pytest.mark.parametrize("planned", [False, True])
def test_a_share_of_the_batch_is_its_leading_rows(planned):
    net = mlp()
    with (Plan(rule("1", FLIPS)) if planned else Plan()).installed(net):
        made = views(net, (X,), 3, batch_fraction=0.6)
    assert [out.shape[0] for out in made.outputs] == [4, 3, 3]
    assert made.shared_rows == 3
    assert all(torch.equal(batch[0], X[:3]) for batch in made.batches[1:])


def test_native_noise_alone_gives_views_that_differ():
    for mode in ("stacked", "looped"):
        first, second = views(mlp(), X, mode=mode).outputs
        assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"n": 0}, "n >= 1"),
        ({"batch_fraction": 0.0}, "batch_fraction in"),
        ({"batch_fraction": 1.5}, "batch_fraction in"),
        ({"noise_free": (2,)}, "there are 2, from 0"),
        ({"noise_free": (-1,)}, "does not exist"),
        ({"noise_free": (1,), "mode": "stacked"}, "cannot be stacked"),
        ({"batch_fraction": 0.5, "mode": "stacked"}, "a plan draws masks for whole views"),
        ({"trunk": "3", "noise_free": (1,)}, "share a trunk"),
        ({"trunk": "3", "batch_fraction": 0.5}, "share a trunk"),
        ({"trunk": "3", "mode": "looped"}, "share a trunk"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_runs(how, words):
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    with pytest.raises(ViewError, match=words):
        views(net, X, **how)
    assert noise_of(net).draw_counts == {}


def test_a_plan_inside_a_wrapper_is_honoured():
    inner = nn.Sequential(nn.Linear(WIDTH, 3))
    net = nn.Sequential(inner)
    Plan(rule("0.weight", DropConnect(rate=0.5))).install(inner)
    assert plan_of(net) is None
    first, second = views(net, X).outputs
    assert not torch.equal(first, second)
    assert noise_of(net).step == 1


def test_retuned_noise_is_fresh_in_every_view():
    net = nn.Sequential(nn.Dropout(0.1))
    Plan(rule("0", TorchDropout(rate=0.5))).install(net)
    for mode in ("stacked", "looped"):
        first, second = views(net, torch.ones(4, 100), mode=mode).outputs
        batch_fraction = (first == 0).double().mean().item()
        assert abs(batch_fraction - 0.5) < 5 * 0.5 / 400**0.5
        assert not torch.equal(first, second)


def test_noise_between_recurrent_layers_is_by_row_stacked_too():
    net = nn.Sequential(copying_rnn())
    Plan(rule("0.between()", Bernoulli(rate=0.5, shared="time"))).install(net)
    for out in reflected(net, SEQUENCE, mode="stacked"):
        assert bool((out == out[:, :1]).all())
