"""Statistics against definitions, scipy's own paired test, simulation and a worked example."""

from itertools import permutations
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dropsmith.compare.statistics import Difference, Spread, correct_family, difference, holm

numbers = st.floats(-100, 100).map(lambda value: round(value, 3))
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=6)


def by_seed(values):
    return dict(enumerate(values))


def test_one_number_has_a_mean_and_no_deviation():
    assert Spread.of([0.25]) == Spread(mean=0.25, deviation=None, count=1)


@given(st.lists(numbers, min_size=2, max_size=10))
def test_the_deviation_is_that_of_a_sample(values):
    assert Spread.of(values).deviation == pytest.approx(np.std(values, ddof=1), abs=1e-9)


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=12))
def test_interval_and_p_are_those_of_the_paired_t_test(pairs):
    ours, theirs = map(np.array, zip(*pairs, strict=True))
    if np.ptp(ours - theirs) < 1e-6:
        return
    found = difference(by_seed(ours), by_seed(theirs))
    want = stats.ttest_rel(ours, theirs)
    assert found.p == pytest.approx(want.pvalue, abs=1e-7)
    assert (found.low, found.high) == pytest.approx(tuple(want.confidence_interval()), abs=1e-6)


def test_a_textbook_example_comes_out_as_printed():
    # Student (1908), the soporific drugs: mean 1.58 hours, t = 4.0621 on 9 degrees, p = 0.002833.
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = difference(by_seed(second), by_seed(first))
    assert found.mean == pytest.approx(1.58)
    assert (found.low, found.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert found.p == pytest.approx(0.002833, abs=5e-7)


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
    draws = np.random.default_rng(0).normal(0.3, 1.0, size=(2000, 5))
    hits = 0
    for row in draws:
        found = difference(by_seed(row), by_seed(np.zeros(5)))
        hits += found.low <= 0.3 <= found.high
    assert abs(hits / 2000 - 0.95) < 5 * (0.95 * 0.05 / 2000) ** 0.5


def test_only_seeds_that_both_have_are_paired():
    found = difference({0: 1.0, 2: 5.0, 3: 100.0}, {0: 0.0, 1: -50.0, 2: 2.0})
    assert (found.mean, found.pairs) == (2.0, 2)


def test_no_common_seed_is_no_difference():
    assert difference({0: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize("pairs", [1, 2])
def test_one_or_two_pairs_give_a_mean_and_claim_nothing_more(pairs):
    found = difference({0: 2.0, 1: 3.0}, dict(list({0: 1.5, 1: 2.0}.items())[:pairs]))
    mean = 0.5 if pairs == 1 else 0.75
    assert found == Difference(mean=mean, low=None, high=None, p=None, pairs=pairs)


@pytest.mark.parametrize(("step", "p"), [(0.0, 1.0), (0.5, None)])
def test_differences_without_spread_have_no_interval(step, p):
    base = {0: 1.0, 1: 2.0, 2: 4.0}
    found = difference({seed: value + step for seed, value in base.items()}, base)
    assert (found.mean, found.low, found.high, found.p) == (step, None, None, p)


def test_an_infinite_loss_gives_no_interval():
    found = difference({0: float("inf"), 1: 1.0}, {0: 1.0, 1: 1.0})
    assert found.low is None
    assert not isnan(found.mean)


def closed_test(p_values):
    """Holm by the closed testing principle: the worst Bonferroni test of a set holding it."""
    names = range(len(p_values))
    subsets = [[n for n in names if bits >> n & 1] for bits in range(1, 2 ** len(p_values))]
    return [
        max(min(1.0, len(s) * min(p_values[n] for n in s)) for s in subsets if name in s)
        for name in names
    ]


@given(p_values)
def test_holm_is_the_closed_bonferroni_test(values):
    assert holm(values) == pytest.approx(closed_test(values))


def test_holm_does_not_depend_on_the_order_asked():
    values = (0.011, 0.02, 0.5)
    want = dict(zip(values, holm(values), strict=True))
    for order in permutations(values):
        assert dict(zip(order, holm(order), strict=True)) == want


def test_every_difference_of_a_family_counts_whether_or_not_it_has_a_p_value():
    strong = Difference(mean=1, low=0.5, high=1.5, p=0.01, pairs=8)
    single = Difference(mean=1, low=None, high=None, p=None, pairs=1)
    found = correct_family({"a": strong, "b": single, "c": single})
    assert found["a"].corrected == pytest.approx(0.03)
    assert found["b"] == single
