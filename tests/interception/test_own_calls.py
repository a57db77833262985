"""A call belongs to the module that makes it, however modules are nested and called."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.activations.read_taps import taps
from dropsmith.noise.find_sites import sites
from dropsmith.noise.lookup import noise_of
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.run_predict import predict
from noise.zoo import (
    FLIPS,
    ONES,
    TIME,
    WIDTH,
    Functional,
    Fused,
    Loose,
    near,
    seeded,
    share,
)

X = seeded(64, TIME, WIDTH)


class Block(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.0, self.training)


class Listed(nn.Module):
    """Calls blocks out of a list, and reaches past a child to what is inside it."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block()])
        self.child = nn.Sequential(Block())

    def forward(self, x):
        return F.dropout(self.child[0](self.blocks[0](x)), 0.0, self.training)


@pytest.mark.parametrize("pattern", [FLIPS, TorchDropout(rate=0.5)])
@pytest.mark.parametrize("site", ["root.dropout()", "blocks.0.dropout()", "child.0.dropout()"])
def test_a_call_belongs_to_the_module_that_makes_it_and_to_no_other(site, pattern):
    net = Listed()
    with Plan(rule(site, pattern)).installed(net):
        assert near(0.5, share(net(X)))
        assert noise_of(net).draw_counts == {site: 1}


def test_three_owners_inside_one_another_drop_once_each():
    net = Listed()
    with Plan(rule("**.dropout()", TorchDropout(rate=0.5))).installed(net):
        assert near(0.875, share(net(X)))


def test_a_call_after_a_child_that_failed_is_still_seen():
    class Catches(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad = Loose(lambda x: 1 / 0)

        def forward(self, x):
            try:
                self.bad(x)
            except ZeroDivisionError:
                return F.dropout(x, 0.0, self.training)

    net = Catches()
    with Plan(rule("root.dropout()", FLIPS)).installed(net):
        assert near(0.5, share(net(X)))


def test_noise_is_on_again_after_a_forward_that_a_hook_of_others_broke():
    net, broken = Listed(), [True]

    def breaks(module, args):
        if broken.pop():
            raise ValueError("a hook of others")

    net.blocks[0].register_forward_pre_hook(breaks)
    with Plan(rule("root.dropout()", FLIPS)).installed(net):
        with pytest.raises(ValueError, match="a hook of others"):
            net(X)
        broken.append(False)
        assert near(0.5, share(net(X)))


def test_owners_of_calls_count_what_torch_draws_at_their_rate():
    net = nn.Sequential(Functional(times=3), Fused())
    with Plan(rule("**.dropout()", TorchDropout(rate=0.1))).installed(net[:1]) as part:
        part(ONES)
        assert noise_of(part).draw_counts == {"0.dropout()": 3}


class Calls(nn.Module):
    """Drops, and calls its child, which may call it again."""

    def __init__(self, rate=0.0):
        super().__init__()
        self.rate, self.child = rate, Back()
        self.child.owner = [self]  # in a list: not a module below it

    def forward(self, x, times=1):
        x = F.dropout(x, self.rate, self.training)
        return self.child(x, times - 1) if times > 1 else x


class Back(nn.Module):
    def forward(self, x, times):
        return self.owner[0](x, times)


class Itself(nn.Module):
    """Calls itself, without a module between."""

    def forward(self, x, times=1):
        x = F.dropout(x, 0.0, self.training)
        return self(x, times - 1) if times > 1 else x


@pytest.mark.parametrize("pattern", [FLIPS, TorchDropout(rate=0.5)])
@pytest.mark.parametrize("make", [Calls, Itself])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_module_that_is_called_again_drops_again(pattern, make, times):
    net = make()
    with Plan(rule("root.dropout()", pattern)).installed(net):
        assert near(1 - 0.5**times, share(net(X, times)))
        assert noise_of(net).draw_counts == {"root.dropout()": times}
    assert torch._C._len_torch_function_stack() == 0


def test_a_module_that_is_called_again_is_listed_audited_and_sampled():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Calls(0.5)

        def forward(self, x):
            return self.inner(x, 2)

    net = Twice()
    assert [site.name for site in sites(net, X) if site.native] == ["inner.dropout()"]
    # Of what is left by the first call the second drops half again.
    row = audit(net, X)["inner.dropout()"]
    assert row.on
    assert near(0.5, (row.dropped, row.elements))
    variance = predict(net, X, samples=400, kind="values").variance
    # Kept with chance 1/4 and scaled by 4: the variance is 3 x².
    assert abs(float((variance / X.square()).mean()) - 3) < 0.3


def test_a_child_fails_in_the_second_call_and_calls_are_seen_after_it():
    class Breaks(Calls):
        def forward(self, x, times=1):
            x = F.dropout(x, self.rate, self.training)
            if times == 1:
                raise ZeroDivisionError
            try:
                return self.child(x, times - 1)
            except ZeroDivisionError:
                return F.dropout(x, self.rate, self.training)

    net = Breaks()
    with Plan(rule("root.dropout()", FLIPS)).installed(net):
        assert near(0.75, share(net(X, 2)))
        assert noise_of(net).draw_counts == {"root.dropout()": 3}
    assert torch._C._len_torch_function_stack() == 0


def test_taps_and_a_plan_see_the_calls_of_their_own_modules_only():
    class Inner(nn.Module):
        def forward(self, x):
            return F.dropout((x @ x.transpose(1, 2)).softmax(-1), 0.0, self.training)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return F.dropout(self.inner(x), 0.0, self.training)

    net = Outer()
    for owner, counts in (("root", 1), ("inner", 1)):
        plan = Plan(rule(f"{owner}.dropout()", FLIPS))
        with plan.installed(net), taps(net, attention="inner.dropout()") as read:
            y = net(X)
            assert noise_of(net).draw_counts == {f"{owner}.dropout()": counts}
        torch.testing.assert_close(read.attention["inner.dropout()"], (X @ X.mT).softmax(-1))
        assert near(0.5, share(y))
    assert torch._C._len_torch_function_stack() == 0
