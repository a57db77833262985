"""Every executor of this library keeps the promises it asks of others."""

import errno
import sys

import pytest
from optuna.storages import InMemoryStorage

from dropsmith.pattern_search import (
    Job,
    LocalExecutor,
    SerialExecutor,
    TrialFailed,
    TrialFinished,
    search,
)
from dropsmith.pattern_search.executors.trial_context import run_trial
from dropsmith.plans.plan import Plan
from dropsmith.testing import ExecutorContract
from pattern_search.small import SPACE, loaded

pytestmark = pytest.mark.slow


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


class Failing:
    """A score that raises what it is given, so many times."""

    def __init__(self, error, times=1):
        self.error, self.left = error, times

    def __call__(self, plan):
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return 1.0


OUTSIDE = [
    MemoryError(),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EMFILE, "Too many open files"),
    RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
]
INSIDE = [ValueError("no"), FileNotFoundError(errno.ENOENT, "no table"), RuntimeError("shapes")]


@pytest.mark.parametrize("error", OUTSIDE + INSIDE, ids=repr)
def test_a_fault_from_outside_may_be_tried_again_and_one_of_the_score_not(error):
    event = run_trial(Failing(error), Job(5, Plan(), 0), lambda report: True)
    assert isinstance(event, TrialFailed)
    assert event.retriable is (error in OUTSIDE)
    assert type(error).__name__ in event.why


@pytest.mark.parametrize("error", OUTSIDE, ids=repr)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_trial_that_memory_or_disk_failed_is_lost_and_tried_again(error, times):
    settings = {"sampler": "random", "executor": "serial", "storage": InMemoryStorage()}
    score = Failing(error, times)
    found = search(score, SPACE, trials=2, **settings)
    statuses = [trial.status for trial in found.trials if trial.proposal_index == 0]
    assert statuses == [*["lost"] * min(times, 2), "finished" if times < 3 else "failed"]


def test_a_score_may_load_its_data_in_processes_of_its_own():
    with LocalExecutor(loaded, 1) as executor:
        executor.submit(Job(0, Plan(), 0))
        (ended,) = executor.wait(120)
    assert isinstance(ended, TrialFinished), ended
    assert ended.score == sum(range(8))
