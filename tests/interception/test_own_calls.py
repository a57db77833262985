"""A call belongs to the module that makes it, however modules are nested and called."""

import pytest
import torch.nn.functional as F
from torch import nn

from dropsmith.noise.lookup import noise_of
from dropsmith.patterns import Native
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
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


@pytest.mark.parametrize("pattern", [FLIPS, Native(rate=0.5)])
@pytest.mark.parametrize("site", ["root.dropout()", "blocks.0.dropout()", "child.0.dropout()"])
def test_a_call_belongs_to_the_module_that_makes_it_and_to_no_other(site, pattern):
    net = Listed()
    with Plan(rule(site, pattern)).installed(net):
        assert near(0.5, share(net(X)))
        assert noise_of(net).draw_counts == {site: 1}


def test_three_owners_inside_one_another_drop_once_each():
    net = Listed()
    with Plan(rule("**.dropout()", Native(rate=0.5))).installed(net):
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
    with Plan(rule("**.dropout()", Native(rate=0.1))).installed(net[:1]) as part:
        part(ONES)
        assert noise_of(part).draw_counts == {"0.dropout()": 3}
