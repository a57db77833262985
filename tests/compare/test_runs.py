"""Runs are made once, survive failures, and come back in the order asked for."""

import json
from dataclasses import replace

import pytest

from compare.synthetic import design, record
from compare.workers import broken_train, diverging_train, pretend
from dropsmith.compare import runs, stored_record
from dropsmith.errors import CheckpointError
from dropsmith.record import Record
from dropsmith.workers import Died, Done, JobProgress

SETTING = {"rate": 0.3}


def setups(count, method="dropout"):
    return [design().setup(method, SETTING, seed) for seed in range(count)]


@pytest.fixture
def here(monkeypatch):
    """Jobs are done in this process, and counted."""
    made = []

    def spread(work, jobs, processes):
        for index, job in enumerate(jobs):
            made.append(job.setup.seed)
            told = []
            result = work(job, told.append)
            yield from (JobProgress(index, share) for share in told)
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
    with pytest.raises(CheckpointError, match=r"made on other data[\s\S]*--out"):
        runs.run([setup], tmp_path, make=pretend)


def test_a_run_that_stopped_on_other_data_is_refused_too(here, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "train", diverging_train)
    monkeypatch.setattr(runs, "data_hash", lambda setup: "of something else")
    (setup,) = setups(1)
    runs.make_record(runs.Job(setup, tmp_path), lambda share: None).save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="made on other data"):
        stored_record(setup, tmp_path)


def test_a_setup_asked_for_twice_is_run_once(here, tmp_path):
    records = runs.run(setups(1) * 2, tmp_path, make=pretend)
    assert here == [0]
    assert records[0] == records[1]


@pytest.mark.parametrize(
    ("status", "again"), [("crashed: OSError: disk full", True), ("stopped: step 3", False)]
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
    assert [done for done, _, _ in heard] == [1.5, 2.0, 2.5, 3.0]
    assert {total for _, total, _ in heard} == {3}
    assert [one is not None for _, _, one in heard] == [False, True, False, True]


def test_a_process_that_dies_leaves_a_record_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "spread", lambda *_: iter_of(Died(0, -9)))
    (found,) = runs.run(setups(1), tmp_path, make=pretend)
    assert found.status == "crashed: its process ended with signal 9"
    assert json.loads((tmp_path / f"{found.id}.json").read_text())["status"] == found.status


def iter_of(*events):
    yield from events


@pytest.mark.parametrize(
    ("train", "status"),
    [
        (diverging_train, "stopped: the loss is not finite at step 3"),
        (broken_train, "crashed: ZeroDivisionError: division by zero"),
    ],
)
def test_what_goes_wrong_in_training_becomes_the_status(monkeypatch, tmp_path, train, status):
    monkeypatch.setattr(runs, "train", train)
    found = runs.make_record(runs.Job(setups(1)[0], tmp_path), lambda share: None)
    assert found.status == status
    assert found.config == setups(1)[0].to_json()
