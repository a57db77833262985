"""An audit has a row for all noise there is, and leaves no trace."""

import pytest
import torch
from torch import nn

from dropsmith.errors import SiteError
from dropsmith.noise.lookup import noise_of
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import (
    Bernoulli,
    DropConnect,
    Gaussian,
    StochasticDepth,
    TorchDropout,
    WordDropout,
)
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select
from noise.zoo import (
    mlp,
    of_ones,
    seeded,
)
from passes.liars import X, off_by

ROWS, TIME, WIDTH = 8, 6, 8


PLANNED = {
    "0": (WordDropout(rate=0.3), "words", 0.3),
    "1": (Bernoulli(rate=0.2), "output", 0.2),
    "1.input": (Bernoulli(rate=0.4), "input", 0.4),
    "2": (Bernoulli(rate=0.25), "dropout", 0.25),
    "3": (StochasticDepth(rate=0.5), "output", 0.5),
    "4": (Gaussian(rate=0.3), "output", 0.0),
    "5": (TorchDropout(rate=0.35), "dropout", 0.35),
    "6.between()": (Bernoulli(rate=0.15), "between", 0.15),
}


def planned():
    torch.manual_seed(0)
    return nn.Sequential(
        of_ones(nn.Embedding(1000, WIDTH)),
        nn.Linear(WIDTH, WIDTH),
        nn.Dropout(0.5),
        nn.Tanh(),
        nn.Identity(),
        nn.Dropout(0.1),
        nn.GRU(WIDTH, WIDTH, 2, batch_first=True),
    )


def test_noise_of_ours_is_measured_at_every_kind_of_site():
    net, ids = planned(), torch.arange(64 * 15).view(64, 15)
    Plan(*(rule(name, pattern) for name, (pattern, _, _) in PLANNED.items())).install(net)
    report = audit(net, ids)
    assert {(row.site.name, row.site.kind) for row in report.rows} == {
        (name, kind) for name, (_, kind, _) in PLANNED.items()
    }
    # Words fall whole and paths fall by row: fewer flips than elements, over two views.
    flips = {"0": 2 * 64 * 15, "3": 2 * 64}
    for name, (pattern, _, rate) in PLANNED.items():
        row = report[name]
        assert (row.on, row.differ, row.why) == (True, True, ""), name
        assert row.how == ("retuned" if isinstance(pattern, TorchDropout) else "keyed")
        assert off_by(row, rate, flips.get(name)) < 5, name
    # What an earlier site dropped is not counted again, and no element is counted twice.
    whole = 2 * 64 * 15 * WIDTH
    assert all(whole / 4 < row.elements <= whole for row in report.rows)


@pytest.mark.parametrize("sharing", ["fresh", "shared"])
def test_dropped_weights_are_measured_pass_by_pass(sharing):
    # As many rows in the weight as in two views.
    net = nn.Sequential(nn.Linear(40, 2 * ROWS))
    Plan(rule("0.weight", DropConnect(rate=0.3), views=sharing)).install(net)
    row = audit(net, seeded(ROWS, 40))["0.weight"]
    assert off_by(row, 0.3) < 5
    assert (row.on, row.differ) == (True, sharing == "fresh")
    assert row.why == ("" if sharing == "fresh" else "shared by the plan")


def test_shared_noise_is_told_as_shared_in_looped_passes_over_folded_rows():
    net = nn.Sequential(nn.Flatten(0, 1), nn.Linear(WIDTH, WIDTH))
    plan = Plan(
        rule("0", Bernoulli(rate=0.5), views="shared"), rule("1.weight", DropConnect(rate=0.3))
    )
    with plan.installed(net):
        row = audit(net, seeded(ROWS, 6, WIDTH))["0"]
    assert (row.differ, row.why) == (False, "shared by the plan")


def test_words_and_units_of_one_embedding_are_two_rows():
    net = planned()[:1]
    Plan(rule("0", WordDropout(rate=0.3)), rule("0", Bernoulli(rate=0.5))).install(net)
    kinds = {row.site.kind: row for row in audit(net, torch.arange(600).view(20, 30)).rows}
    assert off_by(kinds["words"], 0.3, 2 * 600) < 5
    assert off_by(kinds["output"], 0.5) < 5


def test_time_first_batches_are_audited_too():
    net = nn.Sequential(nn.LSTM(WIDTH, 6, 2, dropout=0.5))
    row = audit(net, seeded(9, 4, WIDTH))["0.between()"]
    assert (row.on, row.differ) == (True, True)
    assert row.site.axes == ("time", "batch", "unit")


def test_a_mask_locked_over_time_is_not_taken_for_one_mask_of_all_rows():
    net = nn.Sequential(nn.Linear(WIDTH, WIDTH))
    Plan(rule("0", Bernoulli(rate=0.5, shared="time"))).install(net)
    row = audit(net, seeded(4, 8, WIDTH))["0"]
    assert (row.on, row.differ, row.why) == (True, True, "")


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("training", [True, False])
def test_an_audit_leaves_no_trace(training):
    net = nn.Sequential(nn.Linear(WIDTH, 9), nn.BatchNorm1d(9), nn.Dropout(0.5)).train(training)
    net[2].eval()
    Plan(
        rule("0", Bernoulli(rate=0.5)), rule(select(type="Dropout"), TorchDropout(rate=0.2))
    ).install(net)
    net.train()(seeded(ROWS, WIDTH))
    net.train(training)
    noise = noise_of(net)
    counters = (
        noise.step,
        dict(noise.draw_counts),
        noise.rules_checked,
        noise.observer,
        noise.pass_is_set,
    )
    modes, before, state = [m.training for m in net.modules()], state_of(net), torch.get_rng_state()
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    audit(net, seeded(ROWS, WIDTH))
    assert (
        noise.step,
        noise.draw_counts,
        noise.rules_checked,
        noise.observer,
        noise.pass_is_set,
    ) == counters
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert not nn.modules.module._global_forward_pre_hooks
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_model_that_fails_is_left_without_a_trace_too():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    net = nn.Sequential(nn.Dropout(0.5), Fails())
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="broken"):
        audit(net, X)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_it_prints_a_table_with_a_verdict():
    net = mlp()
    lines = str(audit(net, seeded(ROWS, WIDTH))).splitlines()
    assert lines[0].split() == ["site", "how", "on", "dropped", "views", "why"]
    assert lines[1].split()[:3] == ["1", "torch", "yes"]
    assert lines[1].split()[-1] == "differ"
    assert lines[-1] == "two passes over this batch in train mode differ"
    noise_free = str(audit(net.eval(), seeded(ROWS, WIDTH))).splitlines()
    assert "NO" in noise_free[1]
    assert noise_free[1].endswith("eval mode")
    assert noise_free[-1] == "two passes over this batch in eval mode are identical"


def test_a_model_without_any_noise_has_an_empty_table():
    report = audit(nn.Sequential(nn.Linear(WIDTH, 2)), seeded(ROWS, WIDTH))
    assert report.rows == ()
    assert not report.outputs_differ


def test_a_site_that_is_not_in_the_table_is_an_error_with_the_nearest():
    net = nn.Sequential()
    net.add_module("dropout", nn.Dropout(0.5))
    report = audit(net, seeded(ROWS, WIDTH))
    with pytest.raises(SiteError, match=r"no site 'drpout'[\s\S]*did you mean 'dropout'"):
        report["drpout"]


def wrapped():
    """A model with a plan, as wrappers hold it."""
    inner = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5), nn.Linear(64, 3))
    Plan(rule("0", Bernoulli(rate=0.3)), rule("1", Bernoulli(rate=0.2))).install(inner)
    return inner


class Around(nn.Module):
    """A wrapper with noise of its own, as trainers write it."""

    def __init__(self, inner):
        super().__init__()
        self.model, self.drop = inner, nn.Dropout(0.1)

    def forward(self, x):
        return self.drop(self.model(x))


@pytest.mark.parametrize(
    ("wrap", "part"),
    [(nn.Sequential, "0"), (Around, "model"), (lambda inner: Around(Around(inner)), "model.model")],
)
def test_an_audit_of_a_wrapper_shows_the_plan_inside(wrap, part):
    torch.manual_seed(0)
    inner, x = wrapped(), torch.randn(32, 4)
    table, alone = audit(wrap(inner), x), audit(inner, x)
    for site, rate in (("0", 0.3), ("1", 0.2)):
        row = table[f"{part}.{site}"]
        assert (row.how, row.on, row.differ) == ("keyed", True, True)
        assert abs(row.dropped - rate) < 0.05
        assert row.elements == alone[site].elements
    assert table.outputs_differ
    names = [(row.site.name, row.site.kind) for row in table.rows]
    assert len(names) == len(set(names))


def test_an_audit_of_a_wrapper_shows_calls_and_what_the_inner_root_returns():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 64)

        def forward(self, x):
            return torch.nn.functional.dropout(self.layer(x), 0.5, self.training)

    inner, x = Inner(), torch.ones(32, 4)
    Plan(rule("root", Bernoulli(rate=0.25)), rule("root.dropout()", Bernoulli(rate=0.1))).install(
        inner, x
    )
    table = audit(nn.Sequential(inner), x)
    assert table["0"].how == table["0.dropout()"].how == "keyed"
    assert abs(table["0.dropout()"].dropped - 0.1) < 0.05
    assert abs(table["0"].dropped - 0.25) < 0.05


@pytest.mark.parametrize("always", [True, False])
def test_outputs_differ_where_two_calls_do(always):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 64)

        def forward(self, x):
            return torch.nn.functional.dropout(self.layer(x), 0.5, always or self.training)

    net, x = Net().eval(), torch.ones(8, 4)
    with Plan(rule("root.dropout()", Bernoulli(rate=0.5))).installed(net, x):
        assert audit(net, x).outputs_differ == (not torch.equal(net(x), net(x))) == always


class Picks(nn.Module):
    """Noise on the tokens that are picked out of the batch, as experts have it."""

    def __init__(self):
        super().__init__()
        self.enter, self.drop, self.leave = nn.Linear(8, 32), nn.Dropout(0.5), nn.Linear(32, 2)

    def forward(self, x):
        h = x.new_zeros(*x.shape[:2], 32)
        pick = x[..., 0] > 0
        h[pick] = self.drop(self.enter(x[pick]))
        return self.leave(h.mean(1))


@pytest.mark.parametrize("seed", range(4))
def test_noise_on_tokens_that_were_picked_is_not_called_one_mask(seed):
    row = audit(Picks(), seeded(5, 9, 8, seed=seed))["drop"]
    assert row.on
    assert row.differ is not False
    assert "one mask" not in row.why
