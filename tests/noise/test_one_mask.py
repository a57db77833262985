"""Sites of a rule with one mask drop the same places of a pass, however the pass is made."""

import pickle

import pytest
import torch
from torch import nn

from dropsmith.errors import PlanError
from dropsmith.noise.lookup import noise_of, step
from dropsmith.passes.make_views import views
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import Bernoulli, DropConnect, Spans, StochasticDepth, Tiles, WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select
from noise.zoo import FLIPS, ROWS, TIME, WIDTH

ONES = torch.ones(ROWS, TIME, WIDTH)


class Residual(nn.Module):
    """Shows what is left of a branch, of the branch beside it, of a later layer, side by side."""

    def __init__(self, times=1, narrow=False):
        super().__init__()
        self.times, self.narrow = times, narrow
        self.branch, self.shortcut, self.later = (nn.Identity() for _ in range(3))

    def forward(self, x):
        for _ in range(self.times):
            branch = self.branch(x)
        shortcut = [self.shortcut(x) for _ in range(self.times)][-1]
        later = self.later(x[..., : WIDTH // 2]) if self.narrow else self.later(x)
        return torch.cat([branch, shortcut, later], -1)


def shown(model, x=ONES):
    return [part.detach() for part in model(x).split(WIDTH, -1)]


def install(model, pattern=FLIPS, where="*", **settings):
    Plan(rule(where, pattern, mask="one", **settings)).install(model)
    return model


@pytest.mark.parametrize(
    "pattern",
    [FLIPS, Bernoulli(rate=0.5, shared="time"), StochasticDepth(rate=0.5), Spans(size=1, stride=2)],
    ids=repr,
)
def test_all_sites_of_the_rule_drop_the_same_places_and_the_next_pass_drops_others(pattern):
    model = install(Residual(), pattern)
    first, again = shown(model), shown(model)
    for branch, shortcut, later in (first, again):
        assert torch.equal(branch, shortcut)
        assert torch.equal(branch, later)
        assert bool((branch == 0).any())
    assert not torch.equal(first[0], again[0])


def test_without_it_each_site_draws_its_own():
    model = Residual()
    Plan(rule("*", FLIPS)).install(model)
    branch, shortcut, later = shown(model)
    assert not torch.equal(branch, shortcut)
    assert not torch.equal(branch, later)


def test_two_rules_have_two_masks():
    model = Residual()
    both = select(where=lambda site: site.name in ("branch", "shortcut"))
    Plan(rule("**", FLIPS, mask="one"), rule(both, FLIPS, mask="one")).install(model)
    branch, shortcut, later = shown(model)
    assert torch.equal(branch, shortcut)
    assert not torch.equal(branch, later)


def test_the_mask_is_that_of_any_other_model_with_the_rule_and_survives_a_pickle():
    model = install(Residual(), Tiles(size=2, stride=2), axes="batch height width")
    other = pickle.loads(pickle.dumps(model))
    fresh = install(Residual(), Tiles(size=2, stride=2), axes="batch height width")
    want = shown(model)
    for one in (other, fresh):
        assert all(map(torch.equal, want, shown(one)))


def test_a_site_that_runs_twice_draws_the_first_and_the_second_mask_of_the_rule():
    sides = select(where=lambda site: site.name in ("branch", "shortcut"))
    once, twice = (install(Residual(times), where=sides) for times in (1, 2))
    branch, shortcut, _ = shown(twice)
    assert torch.equal(branch, shortcut)
    assert not torch.equal(branch, shown(once)[0])


@pytest.mark.parametrize("sharing", ["fresh", "shared"])
@pytest.mark.parametrize("pattern", [FLIPS, Spans(size=2, stride=2)], ids=repr)
def test_stacked_and_looped_views_have_the_same_one_mask(pattern, sharing):
    model = install(Residual(), pattern, views=sharing)
    stacked = views(model, ONES, 2, mode="stacked").outputs
    step(model, 0)
    looped = views(model, ONES, 2, mode="looped").outputs
    assert all(map(torch.equal, stacked, looped))
    for view in stacked:
        branch, shortcut, later = view.split(WIDTH, -1)
        assert torch.equal(branch, shortcut)
        assert torch.equal(branch, later)
    assert torch.equal(stacked[0], stacked[1]) == (sharing == "shared")


@pytest.mark.slow
def test_compiled_code_draws_the_same_one_mask():
    torch._dynamo.reset()
    model = install(Residual())
    want = shown(model)
    step(model, 0)
    got = shown(torch.compile(model, backend="aot_eager", fullgraph=True))
    assert all(map(torch.equal, want, got))


def test_sites_whose_masks_have_other_sizes_are_an_error_that_names_both():
    model = install(Residual(narrow=True))
    with pytest.raises(PlanError) as caught:
        model(ONES)
    message = str(caught.value)
    assert "cannot share a mask" in message
    assert f"branch needs ({ROWS}, {TIME}, {WIDTH})" in message
    assert f"later needs ({ROWS}, {TIME}, {WIDTH // 2})" in message
    assert "a rule for each size" in message


@pytest.mark.parametrize(
    "pattern", [Bernoulli(rate=0.5, shared="unit"), StochasticDepth(rate=0.5)], ids=repr
)
def test_sites_of_other_sizes_agree_where_the_mask_is_shared_along_what_differs(pattern):
    model = install(Residual(narrow=True), pattern)
    branch, _, later = shown(model)
    assert torch.equal(branch[..., : WIDTH // 2], later)


def test_other_sizes_in_the_next_pass_are_no_disagreement():
    model = install(Residual())
    shown(model)
    branch, shortcut, _ = shown(model, ONES[:3, :2])
    assert torch.equal(branch, shortcut)


def test_weights_and_words_have_one_mask_too():
    pair = nn.ModuleList([nn.Linear(WIDTH, 3, bias=False), nn.Linear(WIDTH, 3, bias=False)])
    tables = nn.ModuleList([nn.Embedding(9, 1), nn.Embedding(9, 1)])

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair, self.tables = pair, tables

        def forward(self, ids):
            eye = torch.eye(WIDTH)
            return [one(eye) for one in self.pair] + [one(ids) for one in self.tables]

    model = Both()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    Plan(
        rule("pair.*.weight", DropConnect(rate=0.5), mask="one"),
        rule("tables.*", WordDropout(rate=0.5), mask="one"),
    ).install(model)
    first, second, words, same = model(torch.arange(9).expand(ROWS, 9))
    assert torch.equal(first, second)
    assert torch.equal(words, same)
    assert not torch.equal(first, torch.ones_like(first))


def test_an_embedding_whose_words_fall_on_their_own_still_agrees_on_its_output():
    net = nn.Module()
    net.words, net.places = nn.Embedding(9, WIDTH), nn.Embedding(9, WIDTH)
    net.forward = lambda ids: (net.words(ids), net.places(ids))
    Plan(rule("words", WordDropout(rate=0.1)), rule("*", FLIPS, mask="one")).install(net)
    seen = []
    noise_of(net).observer = lambda name, kind, before, after: (
        seen.append(after == 0) if kind == "output" else None
    )
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    ids = torch.arange(8).view(2, 4)
    words, places = net(ids)
    whole = ~(words == 0).all(-1)
    assert torch.equal((words == 0)[whole], (places == 0)[whole])


def test_the_audit_says_so():
    model = install(Residual())
    rows = audit(model, ONES).rows
    assert {(row.on, row.differ) for row in rows} == {(True, True)}
    assert {row.why for row in rows} == {"one mask for all sites of its rule"}


class Steps(nn.Module):
    """Shows what is left of ones at each step of a loop, beside what two layers that share are."""

    def __init__(self, steps=3, shrinks=False):
        super().__init__()
        self.steps, self.shrinks = steps, shrinks
        self.noise = nn.Dropout(0.5)

    def forward(self, x):
        rows = [len(x) - step if self.shrinks else len(x) for step in range(self.steps)]
        steps = [self.noise(x[:count]) for count in rows]
        return steps[-1] if self.shrinks else torch.stack(steps, 1)


PATTERNS = [FLIPS, Bernoulli(rate=0.5, shared="time"), StochasticDepth(rate=0.5)]


@pytest.mark.parametrize("pattern", PATTERNS, ids=repr)
def test_all_calls_of_a_site_drop_by_one_mask_where_the_rule_says_so(pattern):
    each, one = Steps(), Steps()
    Plan(rule("noise", pattern)).install(each, ONES)
    Plan(rule("noise", pattern, calls="one")).install(one, ONES)
    x = ONES.repeat(16, 1, 1)
    several, held, again = each(x), one(x), one(x)
    assert not torch.equal(several[:, 0], several[:, 1])
    assert torch.equal(held, held[:, :1].expand_as(held))
    # The mask that is held is that of the first call, and the next pass has another.
    assert torch.equal(held[:, 0], several[:, 0])
    assert not torch.equal(held, again)


def test_a_mask_that_is_held_is_each_views_own_and_comes_back_in_backward():
    from torch.utils.checkpoint import checkpoint

    model = Steps()
    Plan(rule("noise", FLIPS, calls="one")).install(model, ONES)
    first, second = views(model, ONES).outputs
    assert torch.equal(first, first[:, :1].expand_as(first))
    assert torch.equal(second, second[:, :1].expand_as(second))
    assert not torch.equal(first, second)
    x = ONES.clone().requires_grad_()
    plain = model.forward
    model.forward = lambda x: checkpoint(plain, x, use_reentrant=False)
    output = model(x)
    model(ONES)
    output.sum().backward()
    assert torch.equal(x.grad, output.detach().sum(1))


def test_calls_of_several_sizes_cannot_have_one_mask():
    model = Steps(shrinks=True)
    Plan(rule("noise", FLIPS, calls="one")).install(model)
    with pytest.raises(PlanError, match="masks of different sizes"):
        model(ONES)


def test_sites_and_calls_together_may_have_one_mask():
    model = Residual(times=2)
    Plan(rule("*", FLIPS, mask="one", calls="one")).install(model)
    branch, shortcut, later = shown(model)
    assert torch.equal(branch, shortcut)
    assert torch.equal(branch, later)


@pytest.mark.slow
def test_compiled_code_holds_a_mask_over_calls_too():
    torch._dynamo.reset()
    eager, traced = Steps(), Steps()
    for model in (eager, traced):
        Plan(rule("noise", FLIPS, calls="one")).install(model)
    compiled = torch.compile(traced, backend="aot_eager", fullgraph=True)
    for _ in range(2):
        assert torch.equal(compiled(ONES), eager(ONES))
    torch._dynamo.reset()
