import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.errors import TaskError
from dropsmith.tasks.optimisers import SGD, TriggeredASGD


def trigger_by_hand(losses, nonmono):
    """Algorithm 1 of Merity et al. (2018), line by line: t counts the logs, T is set once."""
    logs = []
    for index, loss in enumerate(losses):
        if len(logs) > nonmono and loss > min(logs[: len(logs) - nonmono]):
            return index
        logs.append(loss)
    return None


@given(st.lists(st.floats(1, 9), max_size=30), st.sampled_from([1, 2, 5]))
def test_the_trigger_is_that_of_the_papers_algorithm(losses, nonmono):
    assert TriggeredASGD(nonmono=nonmono).trigger(losses) == trigger_by_hand(losses, nonmono)


@given(st.lists(st.floats(1, 9), max_size=30))
def test_a_trigger_once_pulled_stays_where_it_was(losses):
    asgd = TriggeredASGD(nonmono=2)
    found = [asgd.trigger(losses[:n]) for n in range(len(losses) + 1)]
    assert len({index for index in found if index is not None}) <= 1
    assert found == sorted(found, key=lambda index: index is not None)


def test_losses_that_are_not_numbers_are_no_mark_to_beat():
    assert TriggeredASGD(nonmono=1).trigger([math.nan, 3.0, 2.0, 2.5]) is None
    assert TriggeredASGD(nonmono=1).trigger([2.0, math.nan, 3.0, 4.0]) == 2


@pytest.mark.parametrize("kind", [SGD, TriggeredASGD])
@pytest.mark.parametrize("shrink", [-0.1, 1.0])
def test_weights_that_would_grow_or_vanish_are_refused(kind, shrink):
    with pytest.raises(TaskError, match=rf"{kind.__name__}: shrink must be in \[0, 1\)"):
        kind(shrink=shrink)


def test_a_trigger_needs_at_least_one_evaluation_to_look_past():
    with pytest.raises(TaskError, match="nonmono must be at least 1, got 0"):
        TriggeredASGD(nonmono=0)
