"""Every executor of this library keeps the promises it asks of others."""

import sys

import pytest

from dropsmith.errors import SearchError
from dropsmith.search import Job, LocalExecutor, SerialExecutor
from dropsmith.search.ray import RayExecutor
from dropsmith.sites import Plan
from dropsmith.testing import ExecutorContract
from search.small import by_rates


class TestSerial(ExecutorContract):
    apart = False

    def make(self, score, timeout=None):
        return SerialExecutor(score)


class TestLocal(ExecutorContract):
    def make(self, score, timeout=None):
        return LocalExecutor(score, 1, timeout=timeout)


def test_a_score_that_exits_is_a_failure_of_its_trial_that_says_how():
    with SerialExecutor(lambda plan: sys.exit(3)) as executor:
        executor.submit(Job(5, Plan(), 0))
        (failed,) = executor.wait(60)
    assert (failed.number, failed.why, failed.lost) == (5, "SystemExit: 3", False)


def test_an_address_without_a_cluster_is_named():
    with pytest.raises(SearchError, match="no Ray cluster at 'nonsense'"):
        RayExecutor(by_rates, address="nonsense")
