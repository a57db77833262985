"""Noise reaches what a module returns, takes and is made of, whatever shape that has."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from dropsmith.errors import SiteError
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of
from dropsmith.patterns import Bernoulli, DropConnect, Off, TorchDropout, WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, ONES, Functional, mlp, seeded, sentences, tiny_bert

Pair = namedtuple("Pair", "first second")
TRIPLE = torch.ones(40, 50)


class Returns(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def dropped(x):
    """Whether a tensor of ones was dropped at rate one half, within five standard errors."""
    share = (x == 0).double().mean().item()
    return abs(share - 0.5) < 5 * 0.5 / x.numel() ** 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: (x, x),
        lambda x: [x, x],
        lambda x: {"first": x, "second": x},
        lambda x: Pair(x, x),
    ],
)
def test_the_first_of_what_a_module_returns_is_dropped_and_its_type_stays(make):
    net = nn.Sequential(Returns(make))
    want = make(TRIPLE)
    with Plan(rule("0", FLIPS)).installed(net):
        got = net(TRIPLE)
    assert type(got) is type(want)
    parts = (
        [got]
        if isinstance(got, torch.Tensor)
        else list(got.values() if isinstance(got, dict) else got)
    )
    assert dropped(parts[0])
    assert all(torch.equal(part, TRIPLE) for part in parts[1:])


def test_the_output_of_a_hugging_face_model_keeps_its_class_and_its_other_fields():
    model, batch = tiny_bert(), sentences()
    want = model(**batch)
    with Plan(rule("root", FLIPS)).installed(model):
        got = model(**batch)
    assert type(got) is type(want)
    kept = got.last_hidden_state != 0
    torch.testing.assert_close(got.last_hidden_state[kept], 2 * want.last_hidden_state[kept])
    assert torch.equal(got.pooler_output, want.pooler_output)


@pytest.mark.parametrize("make", [lambda x: None, lambda x: (1, x), lambda x: "a", lambda x: ()])
def test_an_output_without_a_leading_tensor_is_an_error(make):
    net = nn.Sequential(Returns(make))
    with (
        Plan(rule("0", FLIPS)).installed(net),
        pytest.raises(SiteError, match=r"'0' returned a \w+ without a first tensor"),
    ):
        net(TRIPLE)


def test_an_input_is_dropped_by_position_or_by_name():
    class Calls(nn.Module):
        def __init__(self, with_names):
            super().__init__()
            self.inner, self.with_names = Returns(lambda x: x), with_names

        def forward(self, x):
            return self.inner(x=x) if self.with_names else self.inner(x)

    for with_names in (False, True):
        net = Calls(with_names)
        with Plan(rule("inner.input", FLIPS)).installed(net):
            assert dropped(net(TRIPLE))


def test_an_input_that_is_no_tensor_is_an_error():
    net = nn.Sequential(Returns(lambda x: torch.ones(x)))
    with (
        Plan(rule("0.input", FLIPS)).installed(net),
        pytest.raises(SiteError, match=r"'0\.input' was given no tensor"),
    ):
        net(3)


def test_noise_on_a_native_dropout_replaces_its_draw():
    net = nn.Sequential(nn.Dropout(0.9, inplace=True))
    with Plan(rule("0", FLIPS)).installed(net):
        assert dropped(net(TRIPLE.clone()))
        assert net[0].p == 0.9


@pytest.mark.parametrize(
    "layer", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout]
)
def test_every_sort_of_dropout_is_keyed_retuned_and_silenced(layer):
    shape = (60, 70, 3, 3) if layer is nn.Dropout2d else (60, 70, 3)
    net, x = nn.Sequential(layer(0.9)), seeded(*shape)
    with Plan(rule("0", Off())).installed(net):
        assert torch.equal(net(x), x)
    with Plan(rule("0", FLIPS)).installed(net):
        assert dropped(net(x))
    torch.manual_seed(0)
    want = layer(0.3)(x)
    with Plan(rule("0", TorchDropout(rate=0.3))).installed(net):
        torch.manual_seed(0)
        assert torch.equal(net(x), want)
    assert net[0].p == 0.9


def test_a_retuned_dropout_samples_in_eval_mode_and_goes_back_to_it():
    net = nn.Sequential(nn.Dropout(0.1)).eval()
    Plan(rule("0", TorchDropout(rate=0.5))).install(net)
    assert torch.equal(net(TRIPLE), TRIPLE)
    with noise_of(net).passing(ForwardPass(sampling=True)):
        assert dropped(net(TRIPLE))
    assert not net[0].training


def test_a_dropped_weight_is_scaled_seen_by_the_module_and_never_written():
    net = nn.Sequential(nn.Linear(50, 40, bias=False))
    nn.init.ones_(net[0].weight)
    before = net[0].weight.clone()
    with Plan(rule("0.weight", FLIPS_ON_WEIGHTS)).installed(net):
        seen = net(torch.eye(50)).T
    assert dropped(seen)
    assert seen.unique().tolist() == [0, 2]
    assert torch.equal(net[0].weight, before)


FLIPS_ON_WEIGHTS = DropConnect(rate=0.5)


@pytest.mark.parametrize("layer", [nn.Linear(5, 4), nn.LSTM(5, 4)])
def test_a_module_that_fails_has_its_weights_back(layer):
    net = nn.Sequential(layer)
    names = [name for name, _ in layer.named_parameters() if "weight" in name]
    flat = [id(weight) for weight in getattr(layer, "_flat_weights", [])]
    with Plan(rule("0.weight*", FLIPS_ON_WEIGHTS)).installed(net):
        with pytest.raises(RuntimeError):
            net(torch.ones(2, 3, 6))
        assert all(getattr(layer, name) is layer._parameters[name] for name in names)
        assert [id(weight) for weight in getattr(layer, "_flat_weights", [])] == flat


def test_the_gradient_reaches_the_weight_through_its_mask():
    net = nn.Sequential(nn.Linear(5, 4, bias=False))
    nn.init.ones_(net[0].weight)
    with Plan(rule("0.weight", FLIPS_ON_WEIGHTS)).installed(net):
        seen = net(torch.eye(5)).T
        seen.sum().backward()
    assert torch.equal(net[0].weight.grad, seen.detach())


def test_the_axes_of_a_rule_name_those_of_a_weight():
    net = nn.Sequential(nn.Linear(5, 40, bias=False))
    nn.init.ones_(net[0].weight)
    pattern = DropConnect(rate=0.5, shared="channel")
    with Plan(rule("0.weight", pattern, axes="unit channel")).installed(net):
        seen = net(torch.eye(5)).T
    assert all(len(row.unique()) == 1 for row in seen)
    assert len(seen[:, 0].unique()) == 2


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_weights_are_dropped_in_every_direction(cell, bidirectional):
    net = nn.Sequential(cell(4, 6, bidirectional=bidirectional))
    x = seeded(3, 2, 4)
    names = [name for name, _ in net.named_parameters() if "weight_hh" in name]
    want = net(x)[0]
    for name in names:
        with Plan(rule(name, FLIPS_ON_WEIGHTS)).installed(net):
            got = net(x)[0]
        forwards = slice(6, None) if name.endswith("reverse") else slice(0, 6)
        assert not torch.equal(got[..., forwards], want[..., forwards])
        others = [
            d for d in range(got.shape[-1]) if d not in range(*forwards.indices(got.shape[-1]))
        ]
        assert torch.equal(got[..., others], want[..., others])
    assert torch.equal(net(x)[0], want)


def test_a_tied_weight_used_twice_has_two_masks():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = (nn.Linear(30, 30, bias=False) for _ in range(2))
            self.second.weight = self.first.weight
            nn.init.ones_(self.first.weight)

        def forward(self, x):
            return self.first(x), self.second(x)

    net = Tied()
    with Plan(rule("*.weight", FLIPS_ON_WEIGHTS)).installed(net):
        first, second = net(torch.eye(30))
    assert dropped(first)
    assert not torch.equal(first, second)
    with Plan(rule("second.weight", FLIPS_ON_WEIGHTS)).installed(net):
        assert torch.equal(net(torch.eye(30))[0], torch.ones(30, 30))


def test_words_fall_together_by_row_and_the_table_stays():
    net = nn.Sequential(nn.Embedding(50, 3))
    nn.init.ones_(net[0].weight)
    ids = torch.arange(50).repeat(40, 2)
    with Plan(rule("0", WordDropout(rate=0.5))).installed(net):
        seen = net(ids)[..., 0]
    assert torch.equal(seen[:, :50], seen[:, 50:])
    assert dropped(seen[:, :50])
    assert not torch.equal(seen[0], seen[1])
    assert bool((net[0].weight == 1).all())


def test_words_per_table_fall_for_the_whole_batch():
    net = nn.Sequential(nn.Embedding(500, 3))
    nn.init.ones_(net[0].weight)
    with Plan(rule("0", WordDropout(rate=0.5, per="table"))).installed(net):
        seen = net(torch.arange(500).repeat(4, 1))[..., 0]
    assert bool((seen == seen[0]).all())
    assert dropped(seen[0])


def test_words_are_found_where_ids_are_given_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(500, 1)
            nn.init.ones_(self.table.weight)

        def forward(self, ids):
            return self.table(input=ids)

    net = Named()
    with Plan(rule("table", WordDropout(rate=0.5))).installed(net):
        assert dropped(net(torch.arange(500).view(1, 500)))


def test_the_root_itself_can_be_a_dropout():
    net = nn.Dropout(0.1)
    with Plan(rule("root", Bernoulli(rate=0.5))).installed(net):
        assert dropped(net(TRIPLE))
        assert noise_of(net).step == 1


def test_off_takes_back_an_earlier_rule():
    net = mlp(rate=0.0)
    x = seeded(4, 8)
    want = net(x)
    with Plan(rule("*", FLIPS), rule("*", Off())).installed(net):
        assert torch.equal(net(x), want)


def test_noise_at_a_module_and_at_its_calls_are_two_sites():
    net = nn.Sequential(Functional())
    with Plan(rule("0", Off()), rule("0.dropout()", FLIPS)).installed(net):
        assert not torch.equal(net(ONES), ONES)
