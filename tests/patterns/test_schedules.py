"""Rates by step are pure functions: the same for a number and a tensor, now and after a resume."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dropsmith.patterns
from dropsmith.errors import PatternError
from dropsmith.patterns import (
    Bernoulli,
    CyclicRate,
    DepthRate,
    EarlyRate,
    LateRate,
    LinearRate,
    from_json,
)
from dropsmith.testing import check_frozen, check_repr

TIMED = (
    LinearRate(start=0.1, end=0.7, steps=30),
    LinearRate(start=0.5, end=0.0, steps=1),
    EarlyRate(rate=0.3, steps=10),
    LateRate(rate=0.3, steps=10),
    CyclicRate(low=0.1, high=0.6, period=7),
    CyclicRate(low=0.4, high=0.2, period=10),
)
DEPTH = DepthRate(first=0.0, last=0.4)
CHANCE = st.floats(0, 1, exclude_max=True)


@settings(deadline=None)
@given(st.sampled_from(TIMED), st.integers(0, 40) | st.integers(0, 2**31 - 1))
def test_a_step_tensor_has_the_rate_of_the_number_to_the_bit(schedule, step):
    rate = schedule.at(torch.tensor(step, dtype=torch.int32))
    assert isinstance(rate, torch.Tensor)
    assert rate.dtype == torch.float64
    assert rate.item() == schedule.at(step)


@given(st.sampled_from(TIMED), st.integers(0, 2**31 - 1))
def test_a_rate_is_a_chance_at_every_step(schedule, step):
    assert 0 <= schedule.at(step) < 1


@given(CHANCE, CHANCE, st.integers(1, 10_000))
def test_linear_meets_both_ends_and_stays_between_them(start, end, steps):
    schedule = LinearRate(start=start, end=end, steps=steps)
    assert schedule.at(0) == start
    assert schedule.at(steps) == schedule.at(steps + 1) == schedule.at(10**9) == end
    low, high = min(start, end), max(start, end)
    assert all(low - 1e-12 <= schedule.at(step) <= high + 1e-12 for step in range(0, steps, 97))


def test_linear_takes_equal_steps():
    rates = [LinearRate(start=0.1, end=0.5, steps=8).at(step) for step in range(9)]
    assert rates == pytest.approx([0.1 + 0.05 * step for step in range(9)])


def test_early_noise_lasts_as_many_steps_as_it_says():
    rates = [EarlyRate(rate=0.3, steps=10).at(step) for step in range(1, 31)]
    assert rates == [0.3] * 10 + [0.0] * 20


def test_late_noise_begins_where_early_noise_ends():
    early, late = EarlyRate(rate=0.3, steps=10), LateRate(rate=0.3, steps=10)
    assert all(early.at(step) + late.at(step) == 0.3 for step in range(30))


def test_a_cycle_goes_up_and_down_and_comes_back():
    schedule = CyclicRate(low=0.1, high=0.5, period=8)
    up_and_down = [0.1, 0.2, 0.3, 0.4, 0.5, 0.4, 0.3, 0.2]
    assert [schedule.at(step) for step in range(24)] == pytest.approx(up_and_down * 3)


def test_depth_runs_from_the_first_site_to_the_last():
    assert [DEPTH.at_depth(i, 5) for i in range(5)] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert DEPTH.at_depth(0, 1) == 0.4


def test_depth_has_no_rate_before_the_site_is_known():
    with pytest.raises(
        PatternError, match=r"(?s)DepthRate\(first=0.0, last=0.4\) has no rate.*plan"
    ):
        DEPTH.at(3)


@pytest.mark.parametrize("schedule", TIMED, ids=repr)
def test_time_does_not_depend_on_depth(schedule):
    assert schedule.at_depth(2, 5) == schedule


@pytest.mark.parametrize("schedule", [*TIMED, DEPTH], ids=repr)
def test_a_schedule_is_a_value(schedule):
    check_frozen(schedule)
    check_repr(schedule, vars(dropsmith.patterns))
    pattern = Bernoulli(rate=schedule)
    assert from_json(json.loads(json.dumps(pattern.to_json()))) == pattern


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LinearRate(start=1.0, end=0.1, steps=5), r"LinearRate: start must be in \[0, 1\)"),
        (lambda: LinearRate(start=0.1, end="0.2", steps=5), "LinearRate: end must be a number"),
        (lambda: LinearRate(start=0.1, end=0.2, steps=0), "LinearRate: steps is a number of steps"),
        (lambda: EarlyRate(rate=-0.1, steps=5), "EarlyRate: rate must be in"),
        (lambda: EarlyRate(rate=0.1, steps=2.5), "EarlyRate: steps is a number of steps"),
        (lambda: LateRate(rate=float("nan"), steps=5), "LateRate: rate must be a number"),
        (lambda: LateRate(rate=0.1, steps=True), "LateRate: steps is a number of steps"),
        (lambda: CyclicRate(low=0.1, high=2, period=5), "CyclicRate: high must be in"),
        (
            lambda: CyclicRate(low=0.1, high=0.2, period=-3),
            "CyclicRate: period is a number of steps",
        ),
        (lambda: DepthRate(first=0.1, last=1.0), "DepthRate: last must be in"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, told):
    with pytest.raises(PatternError, match=told):
        make()
