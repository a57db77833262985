"""Numbers as printed."""

import pytest

from dropsmith.compare import Difference, Spread
from dropsmith.report.numbers import METRICS, megabytes, p_value, seconds

ACCURACY, NLL = METRICS["test_accuracy"], METRICS["test_nll"]


def test_accuracy_is_in_percent_and_likelihood_as_it_is():
    assert ACCURACY.value(0.98765) == "98.77"
    assert NLL.value(0.12345) == "0.123"


def test_differences_have_a_true_minus_and_an_explicit_plus():
    assert (ACCURACY.change(-0.0125), NLL.change(0.0215)) == ("−1.25", "+0.021")


@pytest.mark.parametrize("number", [0.0, 1e-9, -1e-9])
def test_what_rounds_to_nothing_has_no_sign(number):
    assert NLL.change(number) == "0.000"


def test_one_run_has_no_deviation():
    assert NLL.deviation(Spread.of([0.1])) == ""
    assert NLL.deviation(Spread.of([0.1, 0.2])) == "± 0.071"


@pytest.mark.parametrize(
    ("mean", "p", "pairs", "words"),
    [
        (0.1, None, 1, "1 seed: no interval"),
        (0.1, None, 2, "2 seeds: no interval"),
        (0.1, None, 3, "the same on every seed: no interval"),
        (0.0, 1.0, 3, "equal on every seed"),
        (float("inf"), None, 5, "not finite: no interval"),
    ],
)
def test_where_there_is_no_interval_the_reason_is_printed(mean, p, pairs, words):
    change = Difference(mean=mean, low=None, high=None, p=p, pairs=pairs)
    assert ACCURACY.interval(change) == words


def test_a_p_value_is_never_printed_as_zero():
    assert (p_value(0.0004), p_value(0.04)) == ("< 0.001", "0.040")


def test_costs_are_short_and_unknown_ones_are_not_zero():
    assert (seconds(3.14159), seconds(314.159), seconds(None)) == ("3.1 s", "314 s", "–")
    assert (megabytes(4.2e8), megabytes(None)) == ("420 MB", "")
