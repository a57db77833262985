"""An executor is the search's own: its score, its limits, and its end."""

import pytest
from optuna.storages import InMemoryStorage

from dropsmith.errors import SearchError
from dropsmith.pattern_search import (
    Executor,
    LocalExecutor,
    RandomSampler,
    SerialExecutor,
    TrialFinished,
    executor_factory,
    search,
)
from pattern_search.small import SPACE, by_rates


def other_score(plan):
    return 17.0


class Recorder(Executor):
    """Scores in its own thread by what it was last given, and counts how often it is closed."""

    slots = 1

    def __init__(self, score):
        self.score, self.events, self.closed = score, [], 0

    def set_score(self, score):
        self.score = score

    def submit(self, job):
        self.events.append(TrialFinished(job.number, self.score(job.plan), 1.0))

    def wait(self, timeout=None):
        return [self.events.pop()]

    def answer(self, number, go_on): ...

    def close(self):
        self.closed += 1


def run(executor, **change):
    settings = {"trials": 2, "sampler": "random", "storage": InMemoryStorage()}
    return search(by_rates, SPACE, executor=executor, **settings | change)


@pytest.mark.parametrize("make", [Recorder, SerialExecutor])
def test_an_executor_scores_by_the_function_of_the_search(make):
    found = run(make(other_score))
    assert [trial.score for trial in found.trials] == [by_rates(t.plan) for t in found.trials]


def test_a_local_executor_scores_by_the_function_of_the_search():
    with LocalExecutor(other_score, 1) as executor:
        found = run(executor, trials=1)
    assert found.score == by_rates(found.plan)


@pytest.mark.parametrize("change", [{"workers": 1}, {"workers": 8}, {"timeout": 5.0}])
def test_workers_and_a_timeout_beside_an_executor_are_refused_and_it_is_closed(change):
    executor = Recorder(other_score)
    (name,) = change
    with pytest.raises(SearchError, match=f"has its own {name}"):
        run(executor, **change)
    assert executor.closed


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 0},
        {"direction": "up"},
        {"name": "a b"},
        {"sampler": "contoller"},
        {"pruner": "medain"},
        {"storage": "ftp://nowhere"},
        {"storage": "/dev/null/study.db"},
        {"retries": -1},
    ],
)
def test_an_executor_is_closed_whatever_is_wrong(change):
    executor = Recorder(other_score)
    with pytest.raises(SearchError):
        run(executor, **change)
    assert executor.closed


def test_an_executor_is_closed_where_nothing_is_left_to_run():
    storage = InMemoryStorage()
    run("serial", storage=storage)
    executor = Recorder(other_score)
    run(executor, storage=storage)
    assert executor.closed
    assert executor.events == []


WRONG_COUNTS = [0, -1, True, False, 2.0, "2", 10**9]


@pytest.mark.parametrize("workers", WRONG_COUNTS)
@pytest.mark.parametrize("executor", ["local", "serial", "ray", "ray:somewhere"])
def test_there_can_be_no_such_number_of_workers(executor, workers):
    with pytest.raises(SearchError, match="workers is a whole number from 1"):
        run(executor, workers=workers)


@pytest.mark.parametrize("workers", WRONG_COUNTS)
def test_a_local_executor_refuses_them_itself(workers):
    with pytest.raises(SearchError, match="workers is a whole number from 1"):
        LocalExecutor(by_rates, workers)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf"), True, "5"])
def test_there_can_be_no_such_timeout(timeout):
    with pytest.raises(SearchError, match="timeout is a number of seconds above 0"):
        run("local", timeout=timeout)
    with pytest.raises(SearchError, match="timeout is a number of seconds above 0"):
        LocalExecutor(by_rates, timeout=timeout)


@pytest.mark.parametrize("change", [{"trials": True}, {"trials": 1.5}, {"retries": True}])
def test_counts_are_whole_numbers(change):
    with pytest.raises(SearchError, match="got"):
        run("serial", **change)


def test_what_is_right_makes_an_executor():
    with executor_factory("local", by_rates, 3, 1.5)() as executor:
        assert executor.slots == 3
    assert RandomSampler(SPACE).name == "random"
