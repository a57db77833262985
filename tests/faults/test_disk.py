"""Whichever operation of the disk fails: no file is half-written, and the same call goes on."""

import json
import resource
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compare.synthetic import design
from compare.workers import pretend
from dropsmith.compare import Comparison, compare, runs
from dropsmith.errors import DropsmithError
from dropsmith.files import waiting, write_text
from dropsmith.learn import Searches, child, learn
from dropsmith.record import Record
from dropsmith.train import Saving, train
from dropsmith.workers import Done
from faults.disk import FAULTS, faulty_disk
from learn.small import DIGITS, SETUP, problem
from train.setups import digits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

MOST = 300
"""More operations than any of the calls below makes."""


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(waiting, "sleep", lambda seconds: None)


def check_whole(folder: Path) -> None:
    """Nothing in a folder is half-written."""
    assert list(folder.rglob("*.partial")) == []
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())


def fail_each(folder: Path, faults, call, result) -> None:
    """Plant a fault at each operation in turn; the same call then comes to the same result.

    Args:
        folder: empty, for all that `call` writes.
        faults: names of the fault; operation by operation it is another, or each where all is true.
        call: makes something in a folder.
        result: what is in the folder then.
    """
    call(folder / "whole")
    expected, count = result(folder / "whole"), 0
    with faulty_disk(folder / "faulty") as disk:
        for count in range(1, MOST):
            place = folder / "faulty"
            disk.fail(count, faults[count % len(faults)])
            try:
                call(place)
            except (OSError, DropsmithError, KeyboardInterrupt):
                assert disk.failed
            failed = disk.failed
            check_whole(place)
            disk.fail(0, "none")
            call(place)
            check_whole(place)
            assert result(place) == expected, f"{faults[count % len(faults)]} at operation {count}"
            shutil.rmtree(place)
            if not failed:
                break
    assert 5 < count < MOST - 1


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(
        runs,
        "spread",
        lambda work, jobs, *_: (
            event
            for event in [Done(i, work(job, lambda *news: None)) for i, job in enumerate(jobs)]
        ),
    )


@pytest.mark.parametrize("fault", [*FAULTS, "interrupt"])
@pytest.mark.usefixtures("here")
def test_a_comparison(tmp_path, fault):
    terms = design(("none",), seeds=2, trials=1)
    fail_each(
        tmp_path, [fault], lambda folder: compare(terms, folder, make=pretend), Comparison.load
    )


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_training(tmp_path, monkeypatch):
    scores = {"nll": 0.5, "accuracy": 0.5, "calibration_error": 0.1}
    monkeypatch.setattr("dropsmith.train.run.evaluate", lambda *args, **kwargs: scores)
    setup = digits(views=1, limit=20, budget=replace(digits().budget, epochs=1))

    def make(job, tell):
        return train(job.setup, job.folder / "run", saving=Saving(steps=1))

    def result(folder):
        (path,) = folder.glob("*.json")
        files = sorted(file.name for file in (folder / "run").iterdir())
        return Record.load(path).scores, files

    fail_each(
        tmp_path,
        [*FAULTS[:3], "interrupt"],
        lambda folder: runs.run([setup], folder, processes=1, make=make),
        result,
    )


@pytest.fixture
def pretended_children(monkeypatch):
    sha256 = DIGITS.load(None, 60).sha256

    def train(setup, run, on_evaluation):
        run.mkdir(parents=True, exist_ok=True)
        loss = float(len(repr(setup.plan)))
        return Record(
            config=setup.to_json(),
            environment={"data_sha256": sha256},
            scores={"validation_nll": loss},
        )

    monkeypatch.setattr(child, "train", train)
    monkeypatch.setattr("dropsmith.learn.learning.problem_of", lambda *args: problem())


@pytest.mark.slow
@pytest.mark.usefixtures("pretended_children")
def test_a_search(tmp_path):
    def call(folder):
        learn(
            SETUP,
            folder,
            trials=1,
            sampler="random",
            executor="serial",
            storage=f"journal:{folder}/study.log",
        )

    def result(folder):
        (run,) = Searches.load(folder).runs
        return [(trial.tokens, trial.score) for trial in run.finished]

    fail_each(tmp_path, [*FAULTS[:3], "interrupt"], call, result)


@pytest.mark.parametrize("fault", ["EROFS", "ENAMETOOLONG"])
@pytest.mark.usefixtures("here", "pretended_children")
def test_a_fault_that_lasts_ends_what_runs_and_hangs_nothing(tmp_path, fault):
    terms = design(("none",), seeds=2, trials=1)
    with faulty_disk(tmp_path) as disk:
        for first in range(1, 12):
            disk.fail(first, fault, last=10**9)
            with pytest.raises((OSError, DropsmithError)):
                compare(terms, tmp_path / str(first), make=pretend)
            check_whole(tmp_path)


def test_a_write_that_the_system_cuts_short_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "[1]")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.json"):
            write_text(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "[1]"
    check_whole(tmp_path)
