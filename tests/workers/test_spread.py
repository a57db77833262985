"""A list of jobs: every one is done, and one that dies takes nothing else with it."""

import multiprocessing
from contextlib import closing

import pytest

from dropsmith.workers import Died, Done, JobProgress, spread
from workers.errands import errand


def test_every_job_is_done_although_one_dies_by_itself_and_one_is_killed():
    jobs = ["tell", "die", "killed", "plain"]
    events = list(spread(errand, jobs, processes=1))
    ends = {event.job: event for event in events if not isinstance(event, JobProgress)}
    assert ends == {
        0: Done(0, "tell done"),
        1: Died(1, 7),
        2: Died(2, -9),
        3: Done(3, "plain done"),
    }
    assert [event.share for event in events if isinstance(event, JobProgress)] == [0.25, 0.75]


def test_closing_in_the_middle_ends_every_process():
    with closing(spread(errand, ["wait", "plain"], processes=1)) as events:
        assert next(events) == JobProgress(0, 0.5)
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()


def test_no_job_starts_no_process():
    assert list(spread(errand, [], processes=2)) == []


def test_a_job_that_asks_is_told_that_nobody_answers():
    with pytest.raises(TypeError, match="cannot ask questions"):
        list(spread(errand, ["ask"], processes=1))
