"""Noise on parameters from which hooks and parametrizations make the weight takes effect."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from dropsmith.patterns import DropConnect
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule

RATE = 0.5
EYE = torch.eye(12)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def linear():
    torch.manual_seed(0)
    return nn.Linear(12, 10, bias=False)


def normed(direction, length):
    return length * direction / direction.norm(dim=1, keepdim=True)


def one_singular_value(weight):
    return torch.linalg.matrix_norm(weight, 2)


def old_norm():
    layer = nn.utils.weight_norm(linear())
    return layer, "weight_v", layer.weight_v, lambda v: normed(v, layer.weight_g)


def new_norm():
    layer = parametrizations.weight_norm(linear())
    made = layer.parametrizations.weight
    name = "parametrizations.weight.original1"
    return layer, name, made.original1, lambda v: normed(v, made.original0)


def pruned():
    layer = prune.random_unstructured(linear(), "weight", 0.4)
    return layer, "weight_orig", layer.weight_orig, lambda w: w * layer.weight_mask


def plain():
    layer = linear()
    return layer, "weight", layer.weight, lambda w: w


MADE = {"old norm": old_norm, "new norm": new_norm, "pruned": pruned, "plain": plain}


@pytest.mark.parametrize("kind", MADE)
def test_the_weight_is_made_of_the_parameter_less_what_was_dropped_of_it(kind):
    layer, name, parameter, by_hand = MADE[kind]()
    trained = parameter.detach().clone()
    net = nn.Sequential(layer)
    Plan(rule(f"0.{name}", DropConnect(rate=RATE))).install(net, EYE)
    seen = [net(EYE).T.detach() for _ in range(2)]
    assert not torch.equal(*seen)
    for weight in seen:
        # What is zero was dropped, and nothing else was: both ways are told by the values.
        kept = (weight != 0).to(weight.dtype)
        want = by_hand(trained * kept / (1 - RATE))
        torch.testing.assert_close(weight, want.detach())
        assert 0.2 < (kept == 0).double().mean() < 0.9
    assert torch.equal(parameter, trained)
    torch.testing.assert_close(net.eval()(EYE).T, by_hand(trained))


@pytest.mark.parametrize("old", [True, False])
def test_noise_below_a_spectral_norm_leaves_it_one(old):
    norm = nn.utils.spectral_norm if old else parametrizations.spectral_norm
    layer = norm(linear(), n_power_iterations=200)
    name = "weight_orig" if old else "parametrizations.weight.original"
    net = nn.Sequential(layer)
    Plan(rule(f"0.{name}", DropConnect(rate=RATE))).install(net, EYE)
    first, second = net(EYE).T.detach(), net(EYE).T.detach()
    assert bool((first == 0).any())
    assert not torch.equal(first == 0, second == 0)
    assert one_singular_value(first).item() == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("old", [True, False])
def test_weights_of_recurrent_layers_that_are_normed_drop_too(old):
    torch.manual_seed(0)
    norm = nn.utils.weight_norm if old else parametrizations.weight_norm
    name = "weight_hh_l0"
    layer = norm(nn.LSTM(12, 6, batch_first=True), name)
    parameter = f"{name}_v" if old else f"parametrizations.{name}.original1"
    net, x = nn.Sequential(layer), torch.randn(2, 5, 12)
    want = net(x)[0]
    with Plan(rule(f"0.{parameter}", DropConnect(rate=RATE))).installed(net, x):
        assert not torch.equal(net(x)[0], net(x)[0])
        torch.testing.assert_close(net.eval()(x)[0], want)
    torch.testing.assert_close(net.train()(x)[0], want)


def test_a_module_that_is_called_twice_in_a_pass_has_one_weight_there():
    shared = linear()

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = shared

        def forward(self, x):
            return torch.stack([self.shared(x), self.shared(x)])

    net = Twice()
    Plan(rule("shared.weight", DropConnect(rate=RATE))).install(net, EYE)
    first, again = net(EYE), net(EYE)
    assert torch.equal(first[0], first[1])
    assert torch.equal(again[0], again[1])
    assert not torch.equal(first[0], again[0])
    # By itself it has no pass to hold a mask for.
    assert not torch.equal(shared(EYE), shared(EYE))


def test_a_weight_that_a_lazy_layer_does_not_have_yet_drops_from_its_first_call():
    net = nn.Sequential(nn.LazyLinear(64, bias=False))
    Plan(rule("0.weight", DropConnect(rate=RATE))).install(net)
    weight = net(EYE).T
    kept = weight != 0
    assert 0.3 < kept.double().mean() < 0.7
    torch.testing.assert_close(weight[kept], 2 * net[0].weight[kept])
