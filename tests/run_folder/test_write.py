"""The folder is written so that a process that is killed leaves nothing that looks finished."""

import json
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from safetensors import safe_open

import dropsmith as ds
from dropsmith.errors import DataError, DropsmithError
from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.run_folder import RECORD, WEIGHTS, load_weights, read_record, read_weights

write = import_module("dropsmith.run_folder.write")
FILES = {
    *("README.md", "config.json", "plan.json", "preprocessing.json", "record.json"),
    "model.safetensors",
}


class Killed(BaseException):
    """Ends a write as a kill would: nothing after it is done."""


def kill_after(monkeypatch, count):
    """Let so many files be written, and be killed at the next."""
    left = [count]

    def keep_trying(function, place):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return function()

    monkeypatch.setattr(write, "keep_trying", keep_trying)


def test_the_folder_has_these_files_and_no_other(texts):
    run, folder, _ = texts
    assert {path.name for path in folder.iterdir()} == FILES
    assert read_record(folder) == run.record
    assert Record.from_json(json.loads((folder / "record.json").read_text())) == run.record
    assert Plan.load(folder / "plan.json") == run.plan


def test_the_weights_say_what_they_are(texts):
    run, folder, _ = texts
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        texts_beside = file.metadata()
    assert texts_beside["format"] == "pt"
    assert texts_beside["record"] == run.record.id
    assert texts_beside["task"] == "texts.csv"
    assert texts_beside["method"] == "dropout"
    assert texts_beside["dropsmith"] == ds.__version__
    stored = read_weights(folder / WEIGHTS)
    assert all(torch.equal(stored[name], tensor) for name, tensor in run.weights.items())
    load_weights(run.model, folder / WEIGHTS)


@pytest.mark.parametrize("count", range(7))
def test_a_killed_write_leaves_no_run_and_the_next_one_completes_it(
    texts, tmp_path, monkeypatch, count
):
    run, _, _ = texts
    with monkeypatch.context() as patch:
        kill_after(patch, count)
        with pytest.raises(Killed):
            run.write(tmp_path)
    assert not (tmp_path / RECORD).exists()
    with pytest.raises(DropsmithError):
        ds.load(tmp_path)
    run.write(tmp_path)
    assert ds.load(tmp_path).record == run.record


@pytest.mark.parametrize("count", range(7))
def test_a_killed_write_over_an_older_run_never_mixes_the_two(texts, tmp_path, monkeypatch, count):
    run, _, _ = texts
    run.write(tmp_path)
    newer = replace(run, weights={name: tensor + 1 for name, tensor in run.weights.items()})
    kill_after(monkeypatch, count)
    with pytest.raises(Killed):
        newer.write(tmp_path)
    with pytest.raises(DropsmithError):
        ds.load(tmp_path)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_run_that_is_made_again_and_killed_as_it_is_written_is_not_finished(
    tmp_path, monkeypatch, count
):
    from compare.workers import spread_here
    from dropsmith.compare import run
    from train.setups import digits as digits_setup

    runs = import_module("dropsmith.compare.runs")
    monkeypatch.setattr(runs, "spread", spread_here)
    setup = digits_setup()
    (first,) = run([setup], tmp_path)
    with monkeypatch.context() as patch:
        kill_after(patch, count)
        with pytest.raises(Killed):
            run([setup], tmp_path, again=True)
    assert not (tmp_path / f"{first.id}.json").exists()
    with pytest.raises(DropsmithError):
        ds.load(tmp_path / first.id)
    (second,) = run([setup], tmp_path)
    assert second.scores == first.scores
    assert ds.load(tmp_path / first.id).record == second


def test_all_writes_are_those_that_the_tests_kill(texts):
    assert len(texts[0]._writes(texts[1])) == 7


def test_a_full_disk_is_waited_for(texts, tmp_path, monkeypatch):
    import errno

    waiting = import_module("dropsmith.files.waiting")
    monkeypatch.setattr(waiting, "sleep", lambda seconds: None)
    real, faults = write.write_text, [3]

    def full(path, text):
        if faults[0]:
            faults[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, text)

    monkeypatch.setattr(write, "write_text", full)
    texts[0].write(tmp_path)
    assert ds.load(tmp_path).record == texts[0].record


def test_a_task_without_files_of_examples_has_no_preprocessing(digits):
    assert {path.name for path in digits[1].iterdir()} == FILES - {"preprocessing.json"}
    assert ds.load(digits[1]).preprocessing is None


def test_a_record_of_another_run_in_the_folder_is_refused(texts, digits, tmp_path):
    texts[0].write(tmp_path)
    (tmp_path / RECORD).write_bytes((digits[1] / RECORD).read_bytes())
    with pytest.raises(DataError, match="files of two runs"):
        ds.load(tmp_path)


def test_train_ends_with_the_whole_folder_and_a_kill_before_its_end_is_no_finished_run(
    tmp_path, monkeypatch
):
    from dropsmith.train import train
    from train.setups import digits as digits_setup

    setup = digits_setup()
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(Killed):
            train(setup, tmp_path)
    shares = []
    record = train(setup, tmp_path, progress=lambda share, /: shares.append(share))
    assert shares  # it was made again, or went on, and was not read from disk
    predictor = ds.load(tmp_path)
    assert predictor.record == record
    assert predictor.description.noise_step == 5
    assert predictor.plan == setup.plan
    assert train(setup, tmp_path) == record
    _, data = import_module("dropsmith.train").task_and_data(setup)
    images, labels = data.test.columns["image"], data.test.columns["labels"]
    found = predictor.predict({"image": images, "labels": labels}, samples=0, batch_size=256)
    inputs = predictor.read({"image": images, "labels": labels})
    scores = predictor.scores(found, inputs)
    assert scores["accuracy"] == pytest.approx(record.scores["test_accuracy"])
    assert scores["nll"] == pytest.approx(record.scores["test_nll"], rel=1e-5)
    assert scores["calibration_error"] == pytest.approx(
        record.scores["test_calibration_error"], rel=1e-4
    )


def test_a_run_that_a_choice_goes_by_leaves_its_weights_and_record_alone(tmp_path):
    from dropsmith.train import train
    from train.setups import digits as digits_setup

    record = train(digits_setup(score_test=False), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS, f"{record.id}.json"}


def test_a_record_that_an_earlier_version_left_in_a_folder_still_ends_a_run(tmp_path):
    from dropsmith.train import train
    from train.setups import digits as digits_setup

    record = train(digits_setup(), tmp_path)
    for path in tmp_path.iterdir():
        if path.name != WEIGHTS:
            path.unlink()
    record.save(tmp_path)
    assert train(digits_setup(), tmp_path) == record
