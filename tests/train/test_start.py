import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dropsmith.errors import DataError, TaskError
from dropsmith.record import Record
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import Data, Split, find_task
from dropsmith.tasks.learning_rates import Constant, UntilWorse
from dropsmith.tasks.optimisers import ASGD, SGD
from dropsmith.train import Saving, Start, train
from dropsmith.train.checkpoint import FILE
from dropsmith.train.environment import words_hash
from train.setups import SHORT, digits
from train.test_loop import Stop, same, stop_at, timeless, weights
from train.test_optimisers import Watched

STEPS = replace(SHORT, optimiser=SGD(), schedule=Constant(), clip=None)
"""Plain steps, whose rate says how far they go."""


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished run in the folder that is named by its record."""
    home = tmp_path_factory.mktemp("runs")
    record = train(digits(), home / "run")
    (home / "run").rename(home / record.id)
    record.save(home)
    return home / record.id


def second(first, *, rate=0.01, **change):
    """A run of plain steps from those weights, with other noise and another seed."""
    budget = replace(STEPS, learning_rate=rate)
    settings = {"views": 1, "seed": 5, "budget": budget, "start": Start.of(first)}
    return digits(**settings | change)


def test_a_run_begins_with_the_weights_that_it_is_given(first, tmp_path):
    record = train(second(first, rate=0.0), tmp_path)
    assert same(weights(tmp_path), weights(first))
    assert {row["validation_nll"] for row in record.curve} == {record.scores["validation_nll"]}
    known = Record.load(first.with_suffix(".json")).scores["validation_nll"]
    assert record.scores["validation_nll"] == pytest.approx(known)


def test_they_are_scored_before_the_first_step_and_no_step_is_counted_for_it(first, tmp_path):
    told = []
    record = train(second(first), tmp_path, on_evaluation=told.append)
    assert [row["step"] for row in record.curve] == [0, 5, 10]
    assert (record.curve[0]["views"], record.curve[0]["epoch"]) == (0, 0)
    assert record.cost["steps"] == 10
    assert tuple(told) == record.curve


@pytest.mark.parametrize(("rate", "kept"), [(5.0, True), (0.05, False)])
def test_they_are_kept_until_others_are_better_on_validation(first, tmp_path, rate, kept):
    record = train(second(first, rate=rate), tmp_path)
    losses = [row["validation_nll"] for row in record.curve]
    assert (min(losses) == losses[0]) == kept, "the rate does not do what this test is about"
    assert same(weights(tmp_path), weights(first)) == kept
    assert record.scores["validation_nll"] == pytest.approx(min(losses))


def test_patience_counts_from_them_on(first, tmp_path):
    budget = replace(STEPS, learning_rate=0.0, epochs=9, patience=2)
    assert len(train(second(first, budget=budget), tmp_path).curve) == 3


def test_what_ends_a_run_looks_at_the_evaluations_of_its_own_steps_alone(
    first, tmp_path, monkeypatch
):
    Watched(monkeypatch, [1.0, 3.0, 2.0, 2.5, 2.6, 2.7])
    budget = replace(STEPS, epochs=9, optimiser=ASGD(), schedule=UntilWorse(nonmono=1))
    record = train(second(first, budget=budget), tmp_path)
    assert [row["validation_nll"] for row in record.curve] == [1.0, 3.0, 2.0, 2.5, 2.6]


def test_a_run_on_all_examples_judges_nothing_at_its_start(first, tmp_path):
    record = train(second(first, whole=True), tmp_path)
    assert 0 not in [row["step"] for row in record.curve]


@pytest.mark.parametrize("share", [0.1, 0.7])
def test_it_resumes_to_the_bit(first, tmp_path, share):
    setup = second(first, budget=replace(STEPS, learning_rate=0.05, optimiser=ASGD()))
    whole = train(setup, tmp_path / "whole")
    with pytest.raises(Stop):
        train(setup, tmp_path / "cut", progress=stop_at(share), saving=Saving(steps=1))
    told = []
    resumed = train(setup, tmp_path / "cut", on_evaluation=told.append)
    assert 0 not in [row["step"] for row in told]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert timeless(whole) == timeless(resumed)


def test_the_id_follows_the_weights_and_not_their_place(first, tmp_path):
    shutil.copy(first / WEIGHTS, tmp_path / "mine.safetensors")
    record = first.with_suffix(".json")
    places = (first, first / WEIGHTS, record, first / ".." / first.name, tmp_path)
    shutil.copy(first / WEIGHTS, tmp_path)
    found = [second(place).to_json() for place in (*places, tmp_path / "mine.safetensors")]
    assert all(values == found[0] for values in found)
    assert found[0]["start"] == hashlib.sha256((first / WEIGHTS).read_bytes()).hexdigest()
    assert str(first.parent) not in json.dumps(found)
    other = {name: value + 1 for name, value in weights(first).items()}
    save_file(other, tmp_path / "other.safetensors")
    assert second(tmp_path / "other.safetensors").to_json() != found[0]
    assert "start" not in digits().to_json()


def test_a_record_says_which_run_it_began_from_or_which_file(first, tmp_path):
    begun = train(second(first), tmp_path / "a").environment["start"]
    assert begun == {"record": first.name, "task": "digits", "method": "r-drop", "seed": 0}
    shutil.copy(first / WEIGHTS, tmp_path / "mine.safetensors")
    (tmp_path.parent / f"{tmp_path.name}.json").write_text("{}")  # no record of ours
    assert Start.of(tmp_path / "mine.safetensors").description == {"file": "mine.safetensors"}


def test_other_weights_in_the_folder_of_a_run_are_not_taken_for_its_own(first, tmp_path):
    shutil.copytree(first, tmp_path / first.name)
    shutil.copy(first.with_suffix(".json"), tmp_path)
    other = tmp_path / first.name / "other.safetensors"
    save_file({name: value + 1 for name, value in weights(first).items()}, other)
    assert Start.of(other).description == {"file": "other.safetensors"}
    assert Start.of(tmp_path / first.name).description["record"] == first.name


def test_a_file_in_the_working_folder_is_found_by_its_name_alone(first, tmp_path, monkeypatch):
    shutil.copy(first / WEIGHTS, tmp_path)
    monkeypatch.chdir(tmp_path)
    for place in (Path(WEIGHTS), Path(), WEIGHTS, "."):
        assert Start.of(place).description == {"file": WEIGHTS}


def folder(path, *files):
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")
    return path


@pytest.mark.parametrize(
    ("files", "place", "says"),
    [
        ([], "gone", "the path does not exist: give the folder of a run"),
        ([f"run/{FILE}"], "run", "the run has not finished"),
        ([f"a/{WEIGHTS}", f"b/{WEIGHTS}"], "", r"one of the runs in it: \S+a; \S+b$"),
        (["run/notes.txt"], "run", f"has the file {WEIGHTS}"),
        (["0123456789ab.json"], "0123456789ab.json", f"has the file {WEIGHTS}"),
    ],
)
def test_where_there_are_no_weights_it_is_said_what_to_give(tmp_path, files, place, says):
    with pytest.raises(DataError, match=rf"no start weights in [\s\S]*{says}"):
        Start.of(folder(tmp_path, *files) / place)


def test_a_file_that_holds_no_weights_or_others_than_before_is_refused(first, tmp_path):
    path = tmp_path / "mine.pt"
    path.write_text("a pickle, perhaps")
    with pytest.raises(DataError, match="looked for: a file in the safetensors format"):
        train(second(path), tmp_path / "a")
    shutil.copy(first / WEIGHTS, path)
    setup = second(path)
    save_file({}, path)
    with pytest.raises(DataError, match="has changed since the start of this command"):
        train(setup, tmp_path / "a")
    path.unlink()
    with pytest.raises(DataError, match="cannot read weights from"):
        train(setup, tmp_path / "a")


def test_weights_of_another_model_are_named_with_what_differs(first, tmp_path):
    mine = weights(first)
    mine["head.weight"] = torch.zeros(3, 4)
    del mine["head.bias"]
    mine |= {f"more.{index}": torch.zeros(1) for index in range(5)}
    (tmp_path / first.name).mkdir()
    save_file(mine, tmp_path / first.name / WEIGHTS)
    shutil.copy(first.with_suffix(".json"), tmp_path)
    with pytest.raises(TaskError, match="are of another model") as raised:
        train(second(tmp_path / first.name), tmp_path / "run")
    _, *lines = str(raised.value).splitlines()
    here = tuple(weights(first)["head.weight"].shape)
    assert [line.strip() for line in lines] == [
        f"of another shape: head.weight (3, 4) there, {here} here",
        "not there: head.bias",
        "only there: more.0; more.1; more.2 and 2 more",
        "they are of digits with r-drop, model: the task's own",
        "begin from weights of this model",
    ]


def spoken(*words):
    parts = [Split({"x": torch.zeros(2, 3), "labels": torch.zeros(2).long()}) for _ in range(3)]
    return Data.of(parts, names=["a"], source="here", vocabulary=words)


def test_the_same_words_in_another_order_are_another_vocabulary(tmp_path):
    model = nn.Linear(3, 1)
    known = {"vocabulary_sha256": words_hash(spoken("a", "b"))}
    record = Record(config={"task": "x"}, environment=known)
    path, run = record.save(tmp_path), tmp_path / record.id
    run.mkdir()
    save_file(model.state_dict(), run / WEIGHTS)
    start = Start.of(run)
    start.load_into(model, spoken("a", "b"))
    with pytest.raises(DataError, match=r"with another vocabulary[\s\S]*the same --limit"):
        start.load_into(model, spoken("b", "a"))
    run.rename(tmp_path / "best")
    path.rename(tmp_path / "best.json")
    with pytest.raises(DataError, match="under another name"):
        Start.of(tmp_path / "best").load_into(model, spoken("b", "a"))


def test_the_folder_of_a_run_that_was_moved_still_says_whose_weights_they_are(tmp_path):
    record = train(digits(), tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    start = Start.of(tmp_path / "moved")
    assert start.record == record
    assert start.description["record"] == record.id


def test_only_texts_have_a_vocabulary():
    assert words_hash(find_task("digits").load(limit=100)) is None
    hashes = {words_hash(spoken(*words)) for words in (("ab", "c"), ("a", "bc"), ("c", "ab"))}
    assert len(hashes) == 3
