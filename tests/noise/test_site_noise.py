"""A pattern at its site: which axis is the batch, and what happens where that is guessed wrong."""

import pytest
import torch
from torch import nn

from dropsmith.errors import AxisError, ViewError
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of
from dropsmith.patterns import Bernoulli, DropConnect, WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, TIME, WIDTH

LOCKED = Bernoulli(rate=0.5, shared="time")


class Turned(nn.Module):
    """Takes rows first and works with time first, on a module whose type does not say so."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.transpose(0, 1)).transpose(0, 1)


def run(net, x, this=None):
    with noise_of(net).passing(this or ForwardPass(views=(0, 1), rows=8)):
        return net(x)


ROWS = torch.ones(8, TIME, WIDTH)


def test_a_wrong_guess_under_stacked_views_is_an_error_that_asks_for_the_axes():
    net = Turned(nn.Identity())
    Plan(rule("inner", LOCKED)).install(net)
    with pytest.raises(AxisError) as caught:
        run(net, ROWS)
    message = str(caught.value)
    assert "'inner' was taken to be 'batch time unit'" in message
    assert "has 6 rows where the batch has 8" in message
    assert 'rule(..., axes="time batch unit")' in message


@pytest.mark.parametrize("known", ["by the rule", "by a batch"])
def test_time_first_is_right_with_axes_in_the_rule_or_a_batch_at_install(known):
    net = Turned(nn.Identity())
    if known == "by the rule":
        Plan(rule("inner", LOCKED, axes="time batch unit")).install(net)
    else:
        Plan(rule("inner", LOCKED)).install(net, torch.ones(4, TIME, WIDTH))
    y = run(net, ROWS)
    assert bool((y == y[:, :1]).all())
    assert not torch.equal(y[:4], y[4:])
    alone = run(net, ROWS[:4], ForwardPass(views=(1,)))
    assert torch.equal(y[4:], alone)


def test_a_name_that_is_not_there_is_an_error_with_what_is():
    net = nn.Sequential(nn.Identity())
    Plan(rule("0", Bernoulli(rate=0.5, shared="channel"))).install(net)
    with pytest.raises(AxisError, match=r"no axis 'channel'[\s\S]*batch time unit"):
        net(ROWS)


def test_axes_that_do_not_fit_the_tensor_are_an_error():
    net = nn.Sequential(nn.Identity())
    Plan(rule("0", FLIPS, axes="batch unit")).install(net)
    with pytest.raises(AxisError, match="2 axis names for a tensor of 3 dimensions"):
        net(ROWS)


def test_an_axis_that_is_unknown_must_be_named():
    net = nn.Sequential(nn.ReLU())
    x = torch.ones(2, 3, 4, 5)
    with (
        Plan(rule("0", LOCKED)).installed(net),
        pytest.raises(AxisError, match="cannot tell which"),
    ):
        net(x)
    with Plan(rule("0", LOCKED, axes="batch ? time unit")).installed(net):
        y = net(x)
    assert bool((y == y[:, :, :1]).all())


def test_a_tensor_without_rows_cannot_have_the_noise_of_two_views():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x):
            return x + self.inner(torch.ones(TIME, WIDTH))

    net = Table()
    Plan(rule("inner", FLIPS)).install(net, torch.ones(4, TIME, WIDTH))
    with pytest.raises(ViewError, match=r"'inner' has no batch axis[\s\S]*looped"):
        run(net, ROWS)
    assert not torch.equal(net(ROWS), ROWS + 1)


def test_rows_folded_with_time_are_taken_where_the_rule_says_so():
    class Folds(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x):
            return self.inner(x.flatten(0, 1)).view_as(x)

    net = Folds()
    with Plan(rule("inner", FLIPS)).installed(net), pytest.raises(AxisError, match="looped"):
        run(net, ROWS)
    with Plan(rule("inner", FLIPS, axes="batch unit")).installed(net):
        y = run(net, ROWS)
        assert torch.equal(y[4:], run(net, ROWS[:4], ForwardPass(views=(1,))))


def test_words_with_time_first_are_known_by_batch_or_rule_and_a_wrong_guess_is_an_error():
    class Ids(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(100, 1)
            nn.init.ones_(self.table.weight)

        def forward(self, ids):
            return self.table(ids.T).transpose(0, 1)

    ids = torch.zeros(8, 6, dtype=torch.long)
    pattern = WordDropout(rate=0.5)
    for settings, batch in (
        ({}, ids),
        ({"axes": "time batch"}, None),
        ({"axes": "time batch unit"}, None),
    ):
        net = Ids()
        with Plan(rule("table", pattern, **settings)).installed(net, batch):
            y = run(net, ids)
        assert bool((y == y[:, :1]).all()), "a word falls in a row or stays, at all times"
        assert len(y.unique()) == 2
    net = Ids()
    Plan(rule("table", pattern)).install(net)
    with pytest.raises(AxisError, match="'table' was taken to be 'batch'"):
        run(net, ids)


def test_weights_of_stacked_views_are_refused_unless_shared():
    net = nn.Sequential(nn.Linear(WIDTH, 2))
    with (
        Plan(rule("0.weight", DropConnect(rate=0.5))).installed(net),
        pytest.raises(ViewError, match=r"'0\.weight' is a weight[\s\S]*looped"),
    ):
        run(net, ROWS)
    with Plan(rule("0.weight", DropConnect(rate=0.5), views="shared")).installed(net):
        first, second = run(net, ROWS).chunk(2)
    assert torch.equal(first, second)


def test_a_weight_cannot_be_quiet_in_one_of_the_stacked_views():
    net = nn.Sequential(nn.Linear(WIDTH, 2))
    with (
        Plan(rule("0.weight", DropConnect(rate=0.5), views="shared")).installed(net),
        pytest.raises(ViewError, match="is a weight"),
    ):
        run(net, ROWS, ForwardPass(views=(0, 1), noise_free=(1,), rows=8))


def test_a_quiet_view_alone_has_no_noise_of_any_kind():
    net = nn.Sequential(nn.Embedding(9, WIDTH), nn.Linear(WIDTH, 3))
    ids = torch.arange(8).view(2, 4)
    want = net(ids)
    Plan(
        rule("0", WordDropout(rate=0.5)), rule("1.weight", DropConnect(rate=0.5)), rule("1", FLIPS)
    ).install(net)
    assert torch.equal(run(net, ids, ForwardPass(views=(1,), noise_free=(1,))), want)
    assert not torch.equal(run(net, ids, ForwardPass(views=(0,), noise_free=(1,))), want)


def test_the_observer_is_told_the_site_its_kind_and_both_tensors():
    net = nn.Sequential(nn.Embedding(9, WIDTH), nn.Linear(WIDTH, 3))
    plan = Plan(
        rule("0", WordDropout(rate=0.5)), rule("0", FLIPS), rule("1.weight", DropConnect(rate=0.5))
    )
    plan.install(net)
    seen = {}
    noise_of(net).observer = lambda name, kind, before, after: seen.update(
        {(name, kind): (before, after)}
    )
    net(torch.arange(8).view(2, 4))
    assert set(seen) == {("0", "words"), ("0", "output"), ("1.weight", "weight")}
    for before, after in seen.values():
        assert before.shape == after.shape
        assert not torch.equal(before, after)
