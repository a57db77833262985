import math
from dataclasses import asdict, replace

import pytest

from dropsmith.errors import TaskError
from dropsmith.tasks import Budget
from dropsmith.tasks.learning_rates import Plateau
from dropsmith.tasks.optimisers import TriggeredASGD

USUAL = Budget(epochs=2, batch_size=20, learning_rate=1e-3)


def test_records_made_before_there_were_optimisers_to_choose_keep_their_ids():
    assert USUAL.to_json() == {
        "epochs": 2,
        "batch_size": 20,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "warmup": 0.1,
        "clip": 1.0,
        "patience": None,
    }
    assert set(USUAL.to_json()) == set(asdict(USUAL)) - {
        "optimiser",
        "schedule",
        "window",
        "varying",
        "reset",
        "equal",
        "batches",
    }


def test_windows_are_written_down_where_they_are_not_the_tasks_own():
    assert replace(USUAL, window=70).to_json() == USUAL.to_json() | {"window": 70}
    assert replace(USUAL, varying=True).to_json() == USUAL.to_json() | {"varying": True}
    assert replace(USUAL, reset=0.01).to_json() == USUAL.to_json() | {"reset": 0.01}
    assert replace(USUAL, equal="updates").to_json() == USUAL.to_json() | {"equal": "updates"}
    assert replace(USUAL, batches="length").to_json() == USUAL.to_json() | {"batches": "length"}


def test_another_optimiser_or_schedule_is_written_down_with_its_settings():
    other = replace(
        USUAL, optimiser=TriggeredASGD(nonmono=3), schedule=Plateau(factor=3, patience=21)
    )
    assert other.to_json() == USUAL.to_json() | {
        "optimiser": {"name": "TriggeredASGD", "nonmono": 3, "shrink": 0.0},
        "schedule": {"name": "Plateau", "factor": 3, "patience": 21, "least": 0.0},
    }


@pytest.mark.parametrize("name", ["epochs", "batch_size", "patience", "window"])
@pytest.mark.parametrize("value", [0, -1, 2**31, 2**70, True, 1.5, "1", math.nan, [1]])
def test_counts_are_whole_numbers_of_at_least_one(name, value):
    with pytest.raises(
        TaskError, match=rf"{name} must be a whole number of at (least 1|most \d+), "
    ):
        replace(USUAL, **{name: value})


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "clip", "warmup", "reset"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, True, "0.1", [0.1]])
def test_rates_and_shares_are_finite_and_not_negative(name, value):
    with pytest.raises(
        TaskError, match=f"{name} must be a finite number (of 0 or more|from 0 to 1)"
    ):
        replace(USUAL, **{name: value})


@pytest.mark.parametrize("name", ["warmup", "reset"])
def test_shares_are_one_at_most(name):
    assert getattr(replace(USUAL, **{name: 1}), name) == 1
    with pytest.raises(TaskError, match=f"{name} must be a finite number from 0 to 1, got 1.01"):
        replace(USUAL, **{name: 1.01})


@pytest.mark.parametrize("value", ["update", "", None, 1, "converged"])
def test_what_is_equal_is_views_or_updates(value):
    with pytest.raises(TaskError, match="equal is views or updates, got"):
        replace(USUAL, equal=value)
