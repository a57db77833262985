"""Stochastic depth that skips rows equals stochastic depth that multiplies, and does skip."""

import pytest
import torch
from torch import nn

from dropsmith.axes import Axes
from dropsmith.errors import SiteError
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import installation_of, noise_of
from dropsmith.patterns import Bernoulli, StochasticDepth
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.rng import Key, Source
from noise.zoo import FLIPS, WIDTH, seeded, sentences, tiny_bert

HALF = StochasticDepth(rate=0.5)
X = seeded(32, 5, WIDTH)


class Branch(nn.Module):
    """Counts the rows it computes."""

    def __init__(self, wrap=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.wrap, self.rows = nn.Linear(WIDTH, WIDTH), wrap, []

    def forward(self, x, other=None):
        self.rows.append(x.shape[0])
        return self.wrap(torch.tanh(self.layer(x)) if other is None else self.layer(x) + other)


class Residual(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


def multiplied(net, plan, x):
    """What the definition gives: every row computed, then times the mask the site draws."""
    noise = noise_of(net)
    with noise.passing(ForwardPass(step=noise.step)):
        sites = (attachment.site_noise for attachment in installation_of(net).attachments)
        source = next(site for site in sites if site.site.name == "branch").sources(x.device)[0]
    mask = plan.rules[0].pattern.draw(Axes.read("batch time unit", tuple(x.shape)), source)
    y = net.branch.layer(x).tanh()
    return x + y * mask, mask


def test_values_and_gradients_equal_multiplying_and_only_kept_rows_are_computed():
    net, plan = Residual(Branch()), Plan(rule("branch", HALF))
    plan.install(net)
    x = X.clone().requires_grad_()
    got = net(x)
    want, mask = multiplied(net, plan, x)
    kept = int((mask > 0).sum())
    assert net.branch.rows == [kept]
    assert 0 < kept < 32
    torch.testing.assert_close(got, want)
    weight = seeded(*got.shape, seed=1)
    for parameters in ([x], list(net.parameters())):
        torch.testing.assert_close(
            torch.autograd.grad((got * weight).sum(), parameters, retain_graph=True),
            torch.autograd.grad((want * weight).sum(), parameters, retain_graph=True),
        )


def test_the_share_of_rows_that_are_skipped_is_the_rate():
    net = Residual(Branch())
    Plan(rule("branch", StochasticDepth(rate=0.3))).install(net)
    for _ in range(100):
        net(X)
    computed = sum(net.branch.rows) / 3200
    assert abs(computed - 0.7) < 5 * (0.3 * 0.7 / 3200) ** 0.5


def test_where_every_row_is_dropped_the_branch_is_zero_and_its_gradient_exists():
    net = Residual(Branch())
    Plan(rule("branch", StochasticDepth(rate=0.999999))).install(net)
    got = net(X)
    assert torch.equal(got, X)
    got.sum().backward()
    assert all(bool((p.grad == 0).all()) for p in net.parameters())


def test_in_eval_mode_every_row_is_computed_and_none_scaled():
    net = Residual(Branch()).eval()
    want = net(X)
    Plan(rule("branch", HALF)).install(net)
    assert torch.equal(net(X), want)


def all_computed(net, x=X, views=1):
    noise = noise_of(net)
    with noise.passing(ForwardPass(views=tuple(range(views)), rows=x.shape[0])):
        net(x)
    return net.branch.rows[-1] == x.shape[0]


def test_everything_is_computed_where_skipping_would_change_something():
    inner = Residual(Branch())
    Plan(rule("branch", HALF), rule("branch.layer", FLIPS)).install(inner)
    assert all_computed(inner)
    normed = Residual(Branch())
    normed.branch.norm = nn.BatchNorm1d(3)
    Plan(rule("branch", HALF)).install(normed)
    assert all_computed(normed)
    stacked = Residual(Branch())
    Plan(rule("branch", HALF)).install(stacked)
    assert all_computed(stacked, views=2)
    assert not all_computed(stacked)


def test_whoever_observes_sees_every_row():
    net, seen = Residual(Branch()), []
    Plan(rule("branch", HALF)).install(net)
    noise_of(net).observer = lambda name, kind, before, after: seen.append((before, after))
    assert all_computed(net)
    before, after = seen[0]
    lost = (after == 0).flatten(1).all(1)
    assert bool((before != 0).all())
    assert bool(lost.any())


def test_stacked_views_drop_the_rows_that_each_alone_drops():
    net = Residual(Branch())
    Plan(rule("branch", HALF)).install(net)
    noise = noise_of(net)
    with noise.passing(ForwardPass(views=(0, 1), rows=64)):
        together = net(torch.cat([X, X]))
    alone = []
    for view in (0, 1):
        with noise.passing(ForwardPass(views=(view,))):
            alone.append(net(X))
    torch.testing.assert_close(together, torch.cat(alone))


def test_a_second_argument_is_cut_to_the_same_rows():
    class Two(Residual):
        def forward(self, x):
            return self.branch(x, other=x * 2)

    net = Two(Branch())
    Plan(rule("branch", HALF)).install(net)
    y = net(X)
    full = net.branch.layer(X) + 2 * X
    kept = (y != 0).flatten(1).any(1)
    torch.testing.assert_close(y[kept], 2 * full[kept])
    assert net.branch.rows == [int(kept.sum())]


def test_arguments_of_other_lengths_mean_that_nothing_is_skipped():
    class Two(Residual):
        def forward(self, x):
            return self.branch(x, other=x[:1])

    net = Two(Branch())
    Plan(rule("branch", HALF)).install(net)
    assert all_computed(net)


def test_the_rest_of_a_tuple_has_all_its_rows_too():
    net = Residual(Branch(wrap=lambda x: (x, x.sum(-1), torch.tensor(3.0))))
    net.forward = lambda x: net.branch(x)
    Plan(rule("branch", HALF)).install(net)
    first, second, scalar = net(X)
    assert second.shape == (32, 5)
    torch.testing.assert_close(second, first.sum(-1) / 2)
    assert scalar == 3


class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.GRU(WIDTH, WIDTH)

    def forward(self, x):
        return self.branch(x)[0]


@pytest.mark.parametrize("axes", [None, "time batch unit"])
def test_rows_are_not_taken_from_a_time_axis(axes):
    net, x = TimeFirst(), seeded(7, 40, WIDTH)
    want = net(x)
    Plan(rule("branch", HALF, axes=axes)).install(net)
    got = net(x)
    lost = (got == 0).all(-1)
    assert bool((lost == lost[0]).all())
    assert bool(lost[0].any())
    torch.testing.assert_close(got[:, ~lost[0]], 2 * want[:, ~lost[0]])


def test_a_module_that_loses_its_rows_cannot_be_skipped_unawares():
    class Folds(nn.Module):
        def forward(self, x):
            return x.flatten(0, 1)

    net = nn.Sequential(Folds())
    Plan(rule("0", HALF)).install(net)
    with pytest.raises(SiteError, match=r"'0' took \d+ rows and returned[\s\S]*name them"):
        net(X)


def test_layers_of_a_hugging_face_model_can_be_skipped():
    model, batch = tiny_bert(), sentences()
    rows = []
    layer = model.encoder.layer[1]
    layer.intermediate.dense.register_forward_hook(lambda m, args, out: rows.append(out.shape[0]))
    Plan(rule("encoder.layer.1", HALF)).install(model)
    for _ in range(8):
        hidden = model(**batch).last_hidden_state
        assert hidden.shape[0] == 4
        assert int((hidden != 0).flatten(1).any(1).sum()) in (rows[-1], 0)
    assert min(rows) < 4


def test_noise_below_and_paths_above_agree_between_stacked_and_looped():
    net = Residual(Branch())
    Plan(rule("branch", HALF), rule("branch.layer", Bernoulli(rate=0.5))).install(net)
    noise = noise_of(net)
    with noise.passing(ForwardPass(views=(0, 1), rows=64)):
        together = net(torch.cat([X, X]))
    with noise.passing(ForwardPass(views=(1,))):
        torch.testing.assert_close(together[32:], net(X))


def test_kept_rows_are_those_of_the_mask():
    source = Source(Key.of(3))
    mask = HALF.draw(Axes.read("batch time unit", tuple(X.shape)), source)
    assert torch.equal(HALF.kept_rows(32, source), (mask > 0).flatten())
