"""Real processes, really killed: the worker, the coordinator, both, and from the keyboard."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from optuna.storages import InMemoryStorage

from dropsmith.errors import SearchError
from dropsmith.pattern_search import LocalExecutor, search
from pattern_search.endless import TRIALS
from pattern_search.small import SPACE, by_rates, greedy, killed_once
from workers.processes import gone

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


def test_a_killed_worker_costs_its_trial_one_try(tmp_path):
    executor = LocalExecutor(by_rates, 1)
    score = killed_once(tmp_path)
    found = search(score, SPACE, trials=3, executor=executor, **random(InMemoryStorage()))
    assert [one.status for one in found.trials] == ["lost", *["finished"] * 3]
    assert "signal 9" in found.trials[0].why
    assert (found.trials[1].proposal_index, found.trials[1].retry_of) == (0, 0)
    assert [one.score for one in found.trials[1:]] == [by_rates(t.plan) for t in found.trials[1:]]
    assert len({one.worker for one in found.trials[1:]}) == 1  # the one in its place is kept


def test_a_trial_that_gets_no_more_memory_is_tried_again_and_then_has_failed():
    with pytest.raises(SearchError, match=r"none of 3 trials has a score\s+.*MemoryError"):
        search(greedy, SPACE, trials=1, workers=1, **random(InMemoryStorage()))


def random(storage):
    return {"sampler": "random", "storage": storage}


@pytest.mark.parametrize("who", ["coordinator", "both", "keyboard"])
def test_a_killed_search_leaves_no_process_and_goes_on_as_if_nothing_had_been(who, tmp_path):
    study = tmp_path / "study.db"
    running = begin(study)
    worker = until_the_third_trial(running)
    if who == "coordinator":
        running.kill()
    else:  # a terminal sends its interrupt to every process, too
        os.killpg(running.pid, signal.SIGKILL if who == "both" else signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    if who == "keyboard":
        assert "interrupted after 2 of 4 trials" in said
        assert "the same search goes on" in said
        assert said.count("KeyboardInterrupt\n") == 1  # the coordinator's alone
    gone(worker)
    found, whole = (
        search(by_rates, SPACE, trials=TRIALS, executor="serial", storage=where)
        for where in (study, InMemoryStorage())
    )
    ended = "interrupted" if who == "keyboard" else "lost"
    assert [one.status for one in found.trials] == [*["finished"] * 2, ended, *["finished"] * 2]
    assert course(found) == course(whole)


def begin(study):
    return subprocess.Popen(
        [sys.executable, "-m", "pattern_search.endless", str(study)],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background job, as a test run may be, has its children ignore interrupts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def until_the_third_trial(running):
    """Read on until two trials are done and the third is running; the worker's process."""
    worker = ""
    assert running.stdout is not None
    for line in running.stdout:
        done, busy, *who = line.split()
        worker = who[0] if who else worker
        if (done, busy) == ("2", "1"):
            time.sleep(0.5)  # let it report, and wait
            return int(worker.rpartition(":")[2])
    raise AssertionError(f"the search ended by itself\n{running.stderr.read()}")


def course(result):
    told = [one for one in result.trials if one.tell_order is not None]
    return [
        (t.proposal_index, t.tokens, t.version, t.log_probability, t.seed, t.score) for t in told
    ]
