"""Runs are made once, survive failures, and come back in the order asked for."""

import errno
import json
import re
from dataclasses import replace

import pytest

from compare.synthetic import design, record
from compare.workers import broken_train, diverging_train, full_train, greedy_train, pretend
from dropsmith.compare import runs, stored_record
from dropsmith.errors import BusyError, CheckpointError, TaskError
from dropsmith.files import hold_folder, waiting
from dropsmith.record import Record
from dropsmith.workers import Died, Done, JobProgress

SETTING = {"rate": 0.3}


def setups(count, method="dropout"):
    return [design().setup(method, SETTING, seed) for seed in range(count)]


@pytest.fixture
def here(monkeypatch):
    """Jobs are done in this process, and counted."""
    made = []

    def spread(work, jobs, processes, libraries=()):
        for index, job in enumerate(jobs):
            made.append(job.setup.seed)
            told = []
            result = work(job, lambda *news, told=told: told.append(news))
            yield from (JobProgress(index, *news) for news in told)
            yield Done(index, result)

    monkeypatch.setattr(runs, "spread", spread)
    return made


def test_records_come_back_in_the_order_asked_and_lie_on_disk(here, tmp_path):
    asked = [setups(3)[seed] for seed in (2, 0, 1)]
    records = runs.run(asked, tmp_path, make=pretend)
    assert [record.config["seed"] for record in records] == [2, 0, 1]
    assert [Record.load(tmp_path / f"{one.id}.json") for one in records] == records


def test_what_is_on_disk_is_not_run_again(here, tmp_path):
    first = runs.run(setups(2), tmp_path, make=pretend)
    again = runs.run(setups(3), tmp_path, make=pretend)
    assert here == [0, 1, 2]
    assert again[:2] == first


def test_a_run_on_other_data_is_refused_rather_than_reused(here, tmp_path):
    (setup,) = setups(1)
    found = record(setup)
    replace(found, environment={"data_sha256": "of something else"}).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"trained on other data[\s\S]*--out"):
        runs.run([setup], tmp_path, make=pretend)


def test_a_run_that_stopped_on_other_data_is_refused_too(here, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "train", diverging_train)
    monkeypatch.setattr(runs, "data_hash", lambda setup: "of something else")
    (setup,) = setups(1)
    runs.make_record(runs.Job(setup, tmp_path), lambda *news: None).save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="trained on other data"):
        stored_record(setup, tmp_path)


def test_a_setup_asked_for_twice_is_run_once(here, tmp_path):
    records = runs.run(setups(1) * 2, tmp_path, make=pretend)
    assert here == [0]
    assert records[0] == records[1]


@pytest.mark.parametrize(
    ("status", "again"),
    [("crashed: OSError: disk full", True), ("lost: signal 9", True), ("stopped: step 3", False)],
)
def test_a_run_that_crashed_is_made_again_and_one_that_diverged_is_not(
    here, tmp_path, status, again
):
    record(setups(1)[0], status=status).save(tmp_path)
    (found,) = runs.run(setups(1), tmp_path, make=pretend)
    assert (found.status == "finished") is again


def test_interrupted_runs_that_were_done_are_kept(here, tmp_path):
    def interrupted(job, tell):
        if job.setup.seed == 1:
            raise KeyboardInterrupt
        return pretend(job, tell)

    with pytest.raises(KeyboardInterrupt):
        runs.run(setups(3), tmp_path, make=interrupted)
    runs.run(setups(3), tmp_path, make=pretend)
    assert here == [0, 1, 1, 2]


def test_the_watch_hears_of_parts_and_of_records_up_to_the_whole(here, tmp_path):
    heard = []
    runs.run(setups(1), tmp_path, make=pretend)
    runs.run(setups(3), tmp_path, make=pretend, watch=lambda *news: heard.append(news))
    assert [done for done, *_ in heard] == [1.5, 2.0, 2.5, 3.0]
    assert {total for _, total, *_ in heard} == {3}
    assert [one is not None for *_, one, _ in heard] == [False, True, False, True]


def test_the_watch_hears_the_terms_of_the_loss_of_the_run_that_goes_on(here, tmp_path, monkeypatch):
    def train(setup, folder, *, progress, on_terms, **_):
        for share in (0.5, 1.0):
            on_terms({"task": share + setup.seed, "consistency": 0.25})
            progress(share)
        return pretend(runs.Job(setup, folder), lambda *news: None)

    monkeypatch.setattr(runs, "train", train)
    heard = []
    runs.run(setups(2), tmp_path, watch=lambda *news: heard.append(news))
    terms = [{"task": task, "consistency": 0.25} for task in (0.5, 1.0, 1.5, 2.0)]
    assert [terms for _, _, record, terms in heard if record is None] == terms
    assert [terms for _, _, record, terms in heard if record is not None] == [{}, {}]


@pytest.fixture
def dying(monkeypatch):
    """Processes die as often as a number says, then do their jobs; the rounds that were made."""
    deaths, rounds = [0], []

    def spread(work, jobs, processes, libraries=()):
        rounds.append(([job.setup.seed for job in jobs], processes))
        for index, job in enumerate(jobs):
            if job.setup.seed == 1 and deaths[0] > 0:
                deaths[0] -= 1
                yield Died(index, -9)
            else:
                yield Done(index, work(job, lambda *news: None))

    monkeypatch.setattr(runs, "spread", spread)
    return deaths, rounds


LOST = "lost: its process ended with signal 9: killed, perhaps because memory ran out"


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_whose_process_dies_is_made_again_with_fewer_at_the_same_time(dying, tmp_path, times):
    deaths, rounds = dying
    deaths[0], heard = times, []
    records = runs.run(
        setups(3), tmp_path, processes=4, make=pretend, watch=lambda *news: heard.append(news)
    )
    assert rounds == [([0, 1, 2], 4), ([1], 2), ([1], 1)][: times + 1]
    assert [record.status for record in records] == ["finished"] * 3
    assert [done for done, *_ in heard] == [1.0, 1.0, 2.0, *[2.0] * (times - 1), 3.0]
    assert [r.status for *_, r, _ in heard if r.status != "finished"] == [
        f"{LOST}; it will be repeated"
    ] * times


def test_a_run_that_is_lost_for_good_leaves_a_record_that_says_so_and_is_made_again_later(
    dying, tmp_path
):
    deaths, rounds = dying
    deaths[0] = 3
    found = runs.run(setups(2), tmp_path, processes=1, make=pretend)[1]
    assert rounds == [([0, 1], 1), ([1], 1), ([1], 1)]
    assert found.status == LOST
    assert json.loads((tmp_path / f"{found.id}.json").read_text())["status"] == LOST
    again = runs.run(setups(2), tmp_path, make=pretend)[1]
    assert again.status == "finished"


def test_a_second_process_is_refused_where_there_are_runs_to_make_and_else_reads(here, tmp_path):
    made = runs.run(setups(1), tmp_path, make=pretend)
    with hold_folder(tmp_path):
        with pytest.raises(BusyError, match=r"making runs in[\s\S]*--out DIR"):
            runs.run(setups(2), tmp_path, make=pretend)
        assert runs.run(setups(1), tmp_path, make=pretend) == made


@pytest.mark.parametrize("processes", [0, -1, True, 1.0, 10**6, "two"])
def test_there_can_be_no_such_number_of_processes(here, tmp_path, processes):
    with pytest.raises(TaskError, match="processes is a whole number from 1"):
        runs.run(setups(1), tmp_path, processes=processes, make=pretend)


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EIO"])
def test_a_record_waits_for_the_disk(here, tmp_path, monkeypatch, name):
    save, failures = Record.save, iter([True, True, False, False])
    monkeypatch.setattr(waiting, "sleep", lambda seconds: None)

    def full(record, folder):
        if next(failures):
            raise OSError(getattr(errno, name), "full")
        return save(record, folder)

    monkeypatch.setattr(Record, "save", full)
    records = runs.run(setups(2), tmp_path, make=pretend)
    assert [record.status for record in records] == ["finished"] * 2
    assert [Record.load(tmp_path / f"{record.id}.json") for record in records] == records


@pytest.mark.parametrize(
    ("train", "status"),
    [
        (diverging_train, "stopped: the loss is not finite at step 3"),
        (broken_train, "crashed: ZeroDivisionError: division by zero"),
        (full_train, "lost: OSError: [Errno 28] No space left on device"),
        (greedy_train, "lost: MemoryError: "),
    ],
)
def test_what_goes_wrong_in_training_becomes_the_status(monkeypatch, tmp_path, train, status):
    monkeypatch.setattr(runs, "train", train)
    found = runs.make_record(runs.Job(setups(1)[0], tmp_path), lambda *news: None)
    # The pretended training is code of the user's own, whose line is named.
    stop, _, place = found.status.partition(" (")
    assert stop == status
    assert not place or re.fullmatch(r".*workers\.py, line \d+\)", place)
    assert found.config == setups(1)[0].to_json()


def test_runs_that_cannot_be_loaded_elsewhere_are_one_error_and_leave_no_record(
    tmp_path, monkeypatch
):
    def spread(work, jobs, processes, libraries=()):
        yield Died(0, 1, began=False)

    monkeypatch.setattr(runs, "spread", spread)
    with pytest.raises(TaskError, match='if __name__ == "__main__"'):
        runs.run(setups(1), tmp_path)
    assert not list(tmp_path.glob("*.json"))
