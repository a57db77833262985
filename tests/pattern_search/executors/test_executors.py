"""Every executor of this library keeps the promises it asks of others."""

import sys

from dropsmith.pattern_search import Job, LocalExecutor, SerialExecutor, TrialFinished
from dropsmith.plans.plan import Plan
from dropsmith.testing import ExecutorContract
from pattern_search.small import loaded


class TestSerial(ExecutorContract):
    own_process = False

    def make(self, score, timeout=None):
        return SerialExecutor(score)


class TestLocal(ExecutorContract):
    def make(self, score, timeout=None):
        return LocalExecutor(score, 1, timeout=timeout)


def test_a_score_that_exits_is_a_failure_of_its_trial_that_says_how():
    with SerialExecutor(lambda plan: sys.exit(3)) as executor:
        executor.submit(Job(5, Plan(), 0))
        (failed,) = executor.wait(60)
    assert (failed.number, failed.why, failed.retriable) == (5, "SystemExit: 3", False)


def test_a_score_may_load_its_data_in_processes_of_its_own():
    with LocalExecutor(loaded, 1) as executor:
        executor.submit(Job(0, Plan(), 0))
        (ended,) = executor.wait(120)
    assert isinstance(ended, TrialFinished), ended
    assert ended.score == sum(range(8))
