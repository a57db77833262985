import math

from hypothesis import given
from hypothesis import strategies as st

from dropsmith.tasks.worsening import worse_at


def by_hand(losses, nonmono):
    """Algorithm 1 of Merity et al. (2018), line by line: t counts the logs, T is set once."""
    logs = []
    for index, loss in enumerate(losses):
        if len(logs) > nonmono and loss > min(logs[: len(logs) - nonmono]):
            return index
        logs.append(loss)
    return None


@given(st.lists(st.floats(1, 9), max_size=30), st.sampled_from([1, 2, 5]))
def test_it_is_where_the_papers_algorithm_would_trigger(losses, nonmono):
    assert worse_at(losses, nonmono) == by_hand(losses, nonmono)


def test_losses_that_are_not_numbers_are_no_mark_to_beat():
    assert worse_at([math.nan, 3.0, 2.0, 2.5], 1) is None
    assert worse_at([2.0, math.nan, 3.0, 4.0], 1) == 2
    assert worse_at([2.0, 1.0, math.nan, 1.5, 1.5], 1) == 3
