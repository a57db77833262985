"""Noise that is a call: retuned, silenced, drawn by us, shared; at rate 0 what torch returns."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of
from dropsmith.patterns import Bernoulli, Off, TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import (
    FLIPS,
    TIME,
    WIDTH,
    Functional,
    Fused,
    Heads,
    Loose,
    copying_rnn,
    near,
    seeded,
    share,
)

X = seeded(64, TIME, WIDTH)
NEVER = Bernoulli(rate=0.0)
# The call's own site, and a model that declares rate one half at it.
CALLS = {
    "functional": (
        "0.dropout()",
        lambda: nn.Sequential(Functional()),
        lambda y: y / X.unsqueeze(1),
    ),
    "fused": ("0.attention()", lambda: nn.Sequential(Fused()), lambda y: y * TIME),
    "heads": ("0.attention.attention()", lambda: nn.Sequential(Heads()), lambda y: y),
    "between": ("0.between()", lambda: nn.Sequential(copying_rnn()), lambda y: y[0]),
}
EVERY = pytest.mark.parametrize("name", CALLS)


def batch_of(name):
    return torch.ones_like(X) if name == "between" else X


@EVERY
@pytest.mark.parametrize("pattern", [Bernoulli(rate=0.2), TorchDropout(rate=0.2)])
def test_a_rate_is_replaced_whoever_draws(name, pattern):
    site, make, read = CALLS[name]
    net = make()
    assert near(0.5, share(read(net(batch_of(name)))))
    with Plan(rule(site, pattern)).installed(net):
        assert near(0.2, share(read(net(batch_of(name)))))
    assert near(0.5, share(read(net(batch_of(name)))))


@EVERY
def test_off_and_rate_zero_are_what_torch_returns_without_noise(name):
    site, make, read = CALLS[name]
    net = make()
    want = read(make().eval()(batch_of(name)))
    for pattern in (Off(), NEVER, TorchDropout(rate=0.0)):
        with Plan(rule(site, pattern)).installed(net):
            torch.testing.assert_close(read(net(batch_of(name))), want)


@EVERY
def test_retuned_noise_is_torchs_own_draw_from_its_generator(name):
    site, make, read = CALLS[name]
    net, own = make(), make()
    if name == "between":
        own[0].dropout = 0.3
    elif name == "heads":
        own[0].attention.dropout = 0.3
    else:
        own[0].rate = 0.3
    torch.manual_seed(5)
    want = read(own(batch_of(name)))
    with Plan(rule(site, TorchDropout(rate=0.3))).installed(net):
        torch.manual_seed(5)
        assert torch.equal(read(net(batch_of(name))), want)


@EVERY
def test_a_shared_axis_is_shared(name):
    site, make, read = CALLS[name]
    net = make()
    with Plan(rule(site, Bernoulli(rate=0.5, shared="batch"))).installed(net):
        dropped = read(net(batch_of(name))) == 0
    assert bool((dropped == dropped[0]).all())
    assert bool(dropped.any())
    assert not bool(dropped.all())


@EVERY
def test_views_that_share_have_one_mask_and_others_have_two(name):
    site, make, _ = CALLS[name]
    for views, same in (("shared", True), ("fresh", False)):
        net = make()
        Plan(rule(site, FLIPS, views=views)).install(net)
        with noise_of(net).passing(ForwardPass(views=(0, 1), rows=64)):
            y = net(torch.cat([batch_of(name)[:32]] * 2))
        y = y[0] if isinstance(y, tuple) else y
        first, second = (y == 0).chunk(2)
        assert torch.equal(first, second) == same


@EVERY
def test_in_eval_mode_there_is_no_noise_unless_sampling(name):
    site, make, read = CALLS[name]
    for pattern in (FLIPS, TorchDropout(rate=0.5)):
        net = make().eval()
        want = read(net(batch_of(name)))
        Plan(rule(site, pattern)).install(net)
        torch.testing.assert_close(read(net(batch_of(name))), want)
        with noise_of(net).passing(ForwardPass(sampling=True)):
            assert near(0.5, share(read(net(batch_of(name)))))


SORTS = {
    "dropout": lambda x: F.dropout(x, p=0.9),
    "by name": lambda x: F.dropout(input=x, p=0.9, training=True),
    "torch.dropout": lambda x: torch.dropout(x, 0.9, True),
    "train=": lambda x: torch.dropout(x, p=0.9, train=True),
    "1d": lambda x: F.dropout1d(x, 0.9),
    "2d": lambda x: F.dropout2d(x[:, :, None], 0.9).squeeze(2),
    "3d": lambda x: F.dropout3d(x[:, :, None, None], 0.9).squeeze(2, 3),
    "alpha": lambda x: F.alpha_dropout(x, 0.9, training=True),
    "feature alpha": lambda x: F.feature_alpha_dropout(x, 0.9, training=True),
}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("pattern", [FLIPS, TorchDropout(rate=0.0)])
def test_every_sort_of_functional_dropout_is_reached(sort, pattern):
    net = nn.Sequential(Loose(SORTS[sort]))
    with Plan(rule("0.dropout()", pattern)).installed(net):
        dropped = share(net(X))
    assert near(0.5, dropped) if pattern is FLIPS else dropped[0] == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.dropout(x, 0.9, training=False),
        lambda x: F.alpha_dropout(x, 0.9),
        lambda x: F.feature_alpha_dropout(x, 0.9),
    ],
)
def test_a_call_that_is_switched_off_stays_off(call):
    net = nn.Sequential(Loose(call))
    Plan(rule("0.dropout()", TorchDropout(rate=0.5))).install(net)
    assert torch.equal(net(X), X)


def test_dropout_in_place_happens_in_place():
    def call(x):
        y = x.clone()
        F.dropout(y, 0.9, inplace=True)
        return y

    for pattern in (FLIPS, TorchDropout(rate=0.5)):
        net = nn.Sequential(Loose(call))
        with Plan(rule("0.dropout()", pattern)).installed(net):
            assert near(0.5, share(net(X)))
