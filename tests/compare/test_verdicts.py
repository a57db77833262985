"""One verdict for each difference, by the interval and the corrected p-value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compare.synthetic import LOSSES, comparison
from dropsmith.compare import Difference, Verdict, summarise, verdict
from dropsmith.compare.statistics import correct_family, difference


def change(mean, low, high, p=0.01, corrected=0.01, pairs=5):
    return Difference(mean=mean, low=low, high=high, p=p, corrected=corrected, pairs=pairs)


@pytest.mark.parametrize(
    ("mean", "low", "high", "corrected", "of_accuracy", "of_loss"),
    [
        (0.1, 0.05, 0.15, 0.01, "better", "worse"),
        (-0.1, -0.15, -0.05, 0.049, "worse", "better"),
        (0.1, 0.05, 0.15, 0.05, "BETTER_UNCORRECTED", "WORSE_UNCORRECTED"),
        (-0.1, -0.15, -0.05, None, "WORSE_UNCORRECTED", "BETTER_UNCORRECTED"),
        (0.1, -0.05, 0.25, 0.9, "NO_DIFFERENCE", "NO_DIFFERENCE"),
        (0.1, 0.0, 0.2, 0.01, "NO_DIFFERENCE", "NO_DIFFERENCE"),
    ],
)
def test_a_verdict_needs_interval_and_correction(mean, low, high, corrected, of_accuracy, of_loss):
    found = change(mean, low, high, corrected=corrected)
    for name, wanted in (("test_accuracy", of_accuracy), ("test_nll", of_loss)):
        judged = verdict(name, found)
        assert wanted in (judged.value, judged.name)
        assert judged.is_significant == (wanted in ("better", "worse"))


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=2))
def test_fewer_than_three_pairs_have_no_verdict(pairs):
    ours, theirs = (dict(enumerate(column)) for column in zip(*pairs, strict=True))
    found = difference(ours, theirs)
    assert (found.low, found.high, found.p) == (None, None, None)
    assert verdict("test_nll", correct_family({"a": found})["a"]) is Verdict.NO_INTERVAL


@pytest.mark.parametrize("step", [0.25, 1 / 3, -0.0077, 1e-7, 1e5])
@pytest.mark.parametrize("count", [3, 5, 10])
def test_pairs_that_all_differ_by_the_same_have_no_verdict_even_where_they_are_rounded(step, count):
    base = {seed: 0.7 + 0.013 * seed for seed in range(count)}
    found = difference({seed: value + step for seed, value in base.items()}, base)
    assert (found.low, found.p) == (None, None)
    assert verdict("test_nll", found) is Verdict.NO_INTERVAL


def test_equal_pairs_have_no_difference():
    base = {seed: 0.1 * seed for seed in range(4)}
    assert verdict("test_nll", difference(base, base)) is Verdict.NO_DIFFERENCE


def test_both_families_of_a_comparison_are_corrected():
    lines = [line for line in summarise(comparison(LOSSES)) if line.to_control]
    p_values = {line.method: line.to_control["test_nll"].p for line in lines}
    assert sorted(p_values) == ["fraternal", "r-drop"]
    least = min(p_values, key=p_values.get)
    for line in lines:
        found = line.to_control["test_nll"]
        wanted = 2 * p_values[least] if line.method == least else max(found.p, 2 * p_values[least])
        assert found.corrected == pytest.approx(min(1, wanted))
