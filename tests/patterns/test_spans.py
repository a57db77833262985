"""Spans drop runs at a random phase, whole over units or over time where shared."""

from math import sqrt

import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.errors import AxisError, PatternError
from dropsmith.models import TransformerXL
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import Bernoulli, Spans
from dropsmith.patterns._on_arcs import PART
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.rng import Key, Source
from patterns.test_tiles import check_independent, check_shares, subsets

TEXT = "batch time unit"


def draw(pattern, sizes, names=TEXT, seed=0):
    return pattern.draw(Axes.read(names, sizes), Source(Key.of(seed)))


@pytest.mark.parametrize(("size", "stride"), [(2, 3), (1, 1), (4, 1), (3, 8)])
def test_runs_and_gaps_have_their_lengths_and_every_phase_is_as_frequent(size, stride):
    period, count = size + stride, 12000
    mask = draw(Spans(size=size, stride=stride, shared="unit"), (count, 2 * period, 1))
    found = {}
    for row in (mask[..., 0] == 0).tolist():
        found[tuple(row)] = found.get(tuple(row), 0) + 1
    want = {
        tuple((step + phase) % period < size for step in range(2 * period))
        for phase in range(period)
    }
    assert set(found) == want
    check_shares(torch.tensor(list(found.values())) / count, 1 / period, count)


@pytest.mark.parametrize(
    "pattern",
    [
        Spans(size=2, stride=3),
        Spans(size=2, stride=3, shared="unit"),
        Spans(size=2, stride=3, shared="time"),
        Spans(size=2, stride=3, fresh="time"),
    ],
    ids=repr,
)
def test_every_step_is_dropped_equally_often_the_first_and_the_last_too(pattern):
    rows = 6000
    mask = draw(pattern, (rows, 7, 4))
    shares = (mask == 0).double().mean(0).expand(7, 4)
    # Locked over time, a row of four units loses all of them now and then, and is left whole.
    spared = pattern.spared_rows(Axes.read(TEXT, (rows, 7, 4)), Source(Key.of(0)))
    lost_whole = 0.4**4 if pattern.shared == "time" else 0.0
    assert abs(spared.double().mean().item() - lost_whole) <= 6 * sqrt(lost_whole / rows)
    check_shares(shares, 0.4 - lost_whole, rows)
    assert pattern.share(Axes.read(TEXT, (rows, 7, 4))) == 0.4


def test_units_have_phases_of_their_own_unless_they_share():
    mask = draw(Spans(size=2, stride=2), (3, 8, 5))
    assert mask.shape == (3, 8, 5)
    assert not torch.equal(mask[..., :1].expand_as(mask), mask)
    assert draw(Spans(size=2, stride=2, shared="unit"), (3, 8, 5)).shape == (3, 8, 1)
    assert draw(Spans(size=2, stride=2, shared="batch unit"), (3, 8, 5)).shape == (1, 8, 1)


def test_in_attention_runs_lie_along_the_keys_and_queries_have_their_own():
    names = "batch head time time"
    dropped = draw(Spans(size=3, stride=4), (20, 2, 5, 14), names) == 0
    for query in dropped.flatten(0, 2).tolist():
        assert any(query == [(step + phase) % 7 < 3 for step in range(14)] for phase in range(7))
    assert not torch.equal(dropped[:, :, :1].expand_as(dropped), dropped)


def test_time_may_come_first():
    mask = draw(Spans(size=2, stride=2, shared="unit"), (8, 3, 5), "time batch unit")
    assert mask.shape == (8, 3, 1)
    torch.testing.assert_close(mask.mean((0, 2)), torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_each_row_keeps_its_mean_in_every_precision(dtype):
    x = torch.ones(3, 700, 200, dtype=dtype)
    out = Spans(size=5, stride=6).drop(x, tuple(TEXT.split()), [Source(Key.of(0))])
    assert out.dtype == dtype
    means = out.double().mean(dim=(1, 2))
    assert (means - 1).abs().max().item() < torch.finfo(dtype).eps


@pytest.mark.parametrize(
    "pattern", [Spans(size=9, stride=1, shared="unit"), Spans(size=3, stride=0)], ids=repr
)
def test_a_row_that_would_keep_nothing_is_left_whole_and_counted(pattern):
    mask = draw(pattern, (200, 4, 6))
    alone = pattern.spared_rows(Axes.read(TEXT, (200, 4, 6)), Source(Key.of(0))).flatten()
    assert bool(alone.any())
    assert bool((mask[alone] == 1).all())
    # Nine of ten phases of four steps begin in a run; six of them end in it.
    chance = 0.6 if pattern.stride else 1.0
    assert abs(alone.double().mean().item() - chance) <= 5 * sqrt(chance * (1 - chance) / 200)


def test_large_tensors_in_parts_have_the_same_mask():
    pattern, x = Spans(size=2, stride=5), torch.linspace(1, 2, 6 * 500 * 70).view(6, 500, 70)
    assert x.numel() > PART
    sources = [Source(Key.of(seed)) for seed in range(2)]
    mask = torch.cat([pattern.draw(Axes.read(TEXT, (3, 500, 70)), source) for source in sources])
    assert torch.equal(pattern.drop(x, tuple(TEXT.split()), sources), x * mask)


# Points of the space: which units are dropped is distributed exactly as in the older method, but
# that a row which would lose all is left whole; the scale is the row's own kept share.


def test_locked_dropout_is_a_point_of_the_space():
    pattern, count = Spans(size=3, stride=7, shared="time"), 20000
    mask = draw(pattern, (count, 5, 4))
    assert mask.shape == draw(Bernoulli(rate=0.3, shared="time"), (count, 5, 4)).shape
    check_independent(subsets(mask[:, 0] == 0), 0.3, 4, count)


def test_plain_dropout_is_a_point_of_the_space():
    mask = draw(Spans(size=1, stride=3, fresh="time"), (20000, 2, 2))
    check_independent(subsets((mask == 0).flatten(1)), 0.25, 4, 20000)


def test_dropping_whole_steps_is_a_point_of_the_space():
    mask = draw(Spans(size=1, stride=3, shared="unit", fresh="time"), (20000, 3, 5))
    assert mask.shape == (20000, 3, 1)
    check_independent(subsets(mask[..., 0] == 0), 0.25, 3, 20000)


SUB_LAYERS = ("query", "key", "value", "attended", "feed", "fed", "attention_shortcut")


def test_they_go_on_every_sub_layer_of_a_transformer_and_the_audit_finds_them_there():
    torch.manual_seed(0)
    net = TransformerXL(words=20, width=16, heads=2, layers=2, feed=24, memory=5)
    tokens = torch.randint(20, (8, 15))
    plan = Plan(*(rule(f"layers.*.{name}", Spans(size=2, stride=3)) for name in SUB_LAYERS))
    with plan.installed(net, tokens):
        rows = {row.site.name: row for row in audit(net, tokens).rows if row.how == "keyed"}
    assert set(rows) == {f"layers.{i}.{name}" for i in range(2) for name in SUB_LAYERS}
    for row in rows.values():
        assert (row.on, row.differ, row.whole, row.why) == (True, True, 0, "")
        # Phases of 2 × 8 rows and 16 units or more are independent; steps of one are not.
        assert abs(row.dropped - 0.4) < 6 * sqrt(0.24 / 256)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0, "stride": 1}, "size is a whole number, 1 or more; got 0"),
        ({"size": 1, "stride": -2}, "stride is a whole number, 0 or more; got -2"),
        ({"size": 1, "stride": 1, "fresh": "unit"}, "fresh names axes of: time; got 'unit'"),
        ({"size": 1, "stride": 1, "shared": "time", "fresh": "time"}, "both shared and fresh"),
        ({"size": 1, "stride": 1, "shared": ("time",)}, "names axes in one string"),
    ],
)
def test_settings_that_cannot_mean_anything_are_refused(settings, words):
    with pytest.raises(PatternError, match=words):
        Spans(**settings)


def test_a_site_without_time_is_refused():
    with pytest.raises(AxisError, match=r"(?s)needs an axis time.*batch unit"):
        draw(Spans(size=1, stride=1), (2, 3), "batch unit")
    with pytest.raises(AxisError, match=r'rule\(..., axes="batch time unit"'):
        draw(Spans(size=1, stride=1), (2, 3, 4), "batch ? ?")
