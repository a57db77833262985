"""Words that are missing from bags: what is left is summed or averaged, however bags are given."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.errors import DropsmithError, SiteError
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of
from dropsmith.passes.make_views import views
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule

TYPES, WIDTH = 9, 3
IDS = torch.randint(0, TYPES, (6, 5), generator=torch.Generator().manual_seed(0))
IDS[0, :2] = 0


class Model(nn.Module):
    def __init__(self, mode, padding=None, **settings):
        super().__init__()
        torch.manual_seed(0)
        self.bag = nn.EmbeddingBag(TYPES, WIDTH, mode=mode, padding_idx=padding, **settings)

    def forward(self, *args, **kwargs):
        return self.bag(*args, **kwargs)


class Unbagged(nn.Module):
    """The same by an embedding and a sum, whose words are dropped before it."""

    def __init__(self, model):
        super().__init__()
        padding = model.bag.padding_idx
        self.mean, self.padding = model.bag.mode == "mean", padding
        self.bag = nn.Embedding(TYPES, WIDTH, padding_idx=padding)
        self.bag.weight = model.bag.weight

    def forward(self, ids, weights=None):
        real = torch.ones_like(ids) if self.padding is None else (ids != self.padding).long()
        factors = real if weights is None else real * weights
        total = (self.bag(ids) * factors.unsqueeze(-1)).sum(1)
        return total / real.sum(1, keepdim=True).clamp(min=1) if self.mean else total


def dropped(net, *args, **kwargs):
    with noise_of(net).passing(ForwardPass()):
        return net(*args, **kwargs)


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("per", ["row", "table"])
def test_bags_hold_what_is_left_of_an_embedding(mode, padding, per):
    net = Model(mode, padding)
    other = Unbagged(net)
    for model in (net, other):
        Plan(rule("bag", WordDropout(rate=0.5, per=per))).install(model, IDS, seed=3)
    want, got = dropped(other, IDS), dropped(net, IDS)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got.square().sum(), net.bag.weight),
        torch.autograd.grad(want.square().sum(), net.bag.weight),
    )
    assert not torch.allclose(got, net.eval()(IDS))


@pytest.mark.parametrize("with_end", [False, True])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_cut_from_one_list_are_those_of_a_matrix(mode, with_end):
    net, flat = Model(mode), Model(mode, include_last_offset=with_end)
    offsets = torch.arange(6 + with_end) * 5
    for model in (net, flat):
        Plan(rule("bag", WordDropout(rate=0.5))).install(model)
    torch.testing.assert_close(dropped(flat, IDS.reshape(-1), offsets), dropped(net, IDS))
    by_name = dropped(flat, input=IDS.reshape(-1), offsets=offsets)
    torch.testing.assert_close(by_name, dropped(net, IDS))


def test_equal_words_of_a_bag_of_any_length_fall_together_and_empty_bags_are_zeros():
    net = Model("sum")
    with torch.no_grad():
        net.bag.weight.copy_(2.0 ** torch.arange(TYPES).unsqueeze(1).expand(-1, WIDTH))
    Plan(rule("bag", WordDropout(rate=0.5))).install(net)
    first, last = set(), set()
    for number in range(20):
        noise_of(net).step = number
        words, offsets = torch.tensor([1, 1, 2, 3, 3, 3]), torch.tensor([0, 3, 3])
        sums = dropped(net, words, offsets)[:, 0].detach()
        first.add(float(sums[0]))
        last.add(float(sums[2]))
        assert float(sums[1]) == 0
    # Rows of words 1, 2 and 3 hold 2, 4 and 8, and what is left is doubled.
    assert first == {0.0, 8.0, 16.0}
    assert last == {0.0, 48.0}


def test_weights_of_words_are_kept():
    net = Model("sum")
    weights = torch.rand(IDS.shape)
    other = Unbagged(net)
    for model in (net, other):
        Plan(rule("bag", WordDropout(rate=0.5))).install(model)
    got = dropped(net, IDS, per_sample_weights=weights)
    torch.testing.assert_close(got, dropped(other, IDS, weights))


def test_views_have_words_of_their_own_and_a_stacked_view_is_a_looped_one():
    net = Model("mean")
    Plan(rule("bag", WordDropout(rate=0.5))).install(net, IDS)
    stacked = views(net, IDS, mode="stacked").outputs
    noise_of(net).step = 0
    looped = views(net, IDS, mode="looped").outputs
    torch.testing.assert_close(stacked, looped)
    assert not torch.allclose(*stacked)


def test_audit_counts_words_of_bags():
    net = Model("sum")
    Plan(rule("bag", WordDropout(rate=0.5))).install(net, IDS)
    row = audit(net, IDS)["bag"]
    assert row.on
    assert row.differ
    assert 0.3 < row.dropped < 0.7


def test_in_eval_mode_and_after_removal_nothing_is_changed():
    net = Model("mean")
    want = net(IDS)
    plan = Plan(rule("bag", WordDropout(rate=0.5)))
    plan.install(net)
    assert torch.equal(net.eval()(IDS), want)
    plan.remove(net.train())
    assert torch.equal(net(IDS), want)


def test_the_maximum_of_a_bag_is_refused_in_words():
    net = Model("max")
    with pytest.raises(SiteError, match="maximum of its words"):
        Plan(rule("bag", WordDropout(rate=0.5))).install(net)


def test_a_functional_call_of_bags_has_no_words_to_drop():
    class Functional(nn.Module):
        def forward(self, ids):
            return F.embedding_bag(ids, torch.ones(TYPES, WIDTH))

    with pytest.raises(DropsmithError):
        Plan(rule("root", WordDropout(rate=0.5))).install(Functional(), IDS)
