"""Records come back from their files as they were, or not at all."""

import json
import math
import os
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.errors import DataError
from dropsmith.record import Record, config_id

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
RECORD = Record(
    config={"task": "digits", "seed": 3, "plan": {"rules": [{"rate": 0.1}]}},
    environment={"torch": "2.6"},
    curve=({"step": 1.0, "train_loss": 2.5}, {"step": 2.0, "train_loss": 2.25}),
    scores={"test_nll": 0.5},
    cost={"seconds": 1.5},
)


@pytest.mark.slow
@settings(deadline=None)  # the first call makes the schema
@given(st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_a_record_survives_json(config):
    record = replace(RECORD, config=config)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_record_survives_a_file(tmp_path):
    path = RECORD.save(tmp_path / "runs")
    assert path == tmp_path / "runs" / f"{RECORD.id}.json"
    assert Record.load(path) == RECORD


def test_saving_again_replaces_the_record_and_leaves_nothing_else(tmp_path):
    RECORD.save(tmp_path)
    path = replace(RECORD, scores={"test_nll": 0.25}).save(tmp_path)
    assert Record.load(path).scores == {"test_nll": 0.25}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("method", ["write_text", "replace"])
def test_a_save_that_fails_leaves_the_old_record_whole(tmp_path, monkeypatch, method):
    path = RECORD.save(tmp_path)

    def fail(self, *_, **__):
        self.with_suffix(self.suffix).touch()
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, method, fail)
    with pytest.raises(OSError, match="no space"):
        replace(RECORD, scores={"test_nll": 9.0}).save(tmp_path)
    monkeypatch.undo()
    assert Record.load(path) == RECORD
    assert [file.name for file in tmp_path.glob("*.json")] == [path.name]


def test_a_record_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        RECORD.status = "other"


def test_the_id_is_twelve_hexadecimal_digits_of_the_configuration_alone():
    assert len(RECORD.id) == 12
    assert int(RECORD.id, 16) >= 0
    assert replace(RECORD, scores={}, environment={}, cost={}, status="stopped").id == RECORD.id
    assert replace(RECORD, config=RECORD.config | {"seed": 4}).id != RECORD.id


def test_the_id_does_not_depend_on_the_order_of_settings():
    assert config_id({"a": 1, "b": {"c": 2, "d": 3}}) == config_id({"b": {"d": 3, "c": 2}, "a": 1})


def test_the_id_is_the_same_on_every_machine():
    # sha256 of the text {"seed":3,"task":"digits"}, as the sha256sum command prints it.
    assert config_id({"task": "digits", "seed": 3}) == "a8644c7d79aa"


def test_a_record_whose_settings_were_edited_is_refused(tmp_path):
    path = RECORD.save(tmp_path)
    path.write_text(path.read_text().replace('"seed": 3', '"seed": 4'))
    with pytest.raises(
        DataError, match=rf"(?s)cannot read a record from .*{path.name}.*configuration hashes to"
    ):
        Record.load(path)


@pytest.mark.parametrize(
    ("task", "data", "named", "given"),
    [
        ("sst2", "../data/sst2", "sst2", True),
        ("digits", None, "digits", False),
        ("/home/me/cats", None, "cats", True),
    ],
)
def test_a_record_of_version_1_is_read_without_the_path_of_its_data(task, data, named, given):
    config = {"task": task, "seed": 3, "data": data}
    values = RECORD.to_json() | {"version": 1, "config": config, "id": config_id(config)}
    values["environment"] = {"data_sha256": "ab"}
    record = Record.from_json(values)
    assert record.config == {"task": named, "seed": 3}
    assert record.environment == {"data_sha256": "ab", "data_given": given}
    assert (record.scores, record.curve) == (RECORD.scores, RECORD.curve)


def test_a_record_under_the_name_of_another_is_refused(tmp_path):
    other = replace(RECORD, config=RECORD.config | {"seed": 4})
    path = tmp_path / f"{other.id}.json"
    RECORD.save(tmp_path).rename(path)
    with pytest.raises(
        DataError, match=rf"from {path}\n  it is the record {RECORD.id} under another"
    ):
        Record.load(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "../../etc/x0"}, "field id should be a record id of 12 hexadecimal digits"),
        ({"colour": 1}, "field colour is unknown"),
        ({"version": True}, "field version should be a valid integer, but is True"),
        ({"version": [2]}, r"version is \[2\]"),
        ({"scores": {"test_nll": "0.5"}}, "field scores.test_nll should be a valid number, but is"),
        ({"scores": {"test_nll": True}}, "field scores.test_nll should be a valid number, but is"),
        ({"scores": {"test_nll": 2**80}}, None),
        ({"curve": [{"step": [1]}]}, r"field curve.0.step should be a valid number, but is \[1\]"),
        ({"curve": {"step": 1}}, "field curve should be a valid list"),
        ({"cost": [1]}, "field cost should be a valid dictionary"),
        (
            {"environment": {"start": {"seed": -1}}},
            "field environment.start.seed should be greater",
        ),
        ({"environment": {"signatures": ["BLEU"]}}, "field environment.signatures should be a"),
        ({"status": None}, "field status should be a valid string, but is None"),
        ({"x" * 9000: 1}, "field 'xxx"),
    ],
)
def test_fields_of_other_types_are_named(changes, says, tmp_path):
    path = RECORD.save(tmp_path)
    path.write_text(json.dumps(RECORD.to_json() | changes))
    if says is None:
        assert Record.load(path).scores["test_nll"] == 2.0**80
        return
    with pytest.raises(DataError, match=says) as caught:
        Record.load(path)
    assert len(str(caught.value)) < 400


def test_a_folder_and_a_pipe_in_its_place_are_refused_at_once(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("folder.json", "pipe.json"):
        with pytest.raises(DataError, match="not a regular file"):
            Record.load(tmp_path / name)


def test_numbers_of_a_run_that_diverged_are_json_for_everybody_and_come_back(tmp_path):
    wild = replace(
        RECORD,
        scores={"test_nll": math.nan, "test_perplexity": math.inf},
        curve=({"train_loss": -math.inf, "step": 1},),
        status='stopped: "Infinity"',
    )
    path = wild.save(tmp_path)
    strict = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert strict["scores"] == {"test_nll": None, "test_perplexity": math.inf}
    read = Record.load(path)
    assert math.isnan(read.scores["test_nll"])
    assert read.scores["test_perplexity"] == math.inf
    assert (read.curve, read.status) == (wild.curve, wild.status)


def test_a_nan_as_python_writes_it_is_read(tmp_path):
    path = RECORD.save(tmp_path)
    path.write_text(json.dumps(RECORD.to_json() | {"scores": {"test_nll": math.nan}}))
    assert math.isnan(Record.load(path).scores["test_nll"])


def test_a_configuration_of_other_than_json_values_is_refused():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    for value in (deep, {1, 2}, Path("x")):
        with pytest.raises(DataError, match="a configuration has JSON values only"):
            _ = Record(config={"x": value}).id


def test_a_record_of_version_1_whose_settings_were_edited_is_refused():
    config = {"task": "sst2", "seed": 3, "data": "there"}
    values = RECORD.to_json() | {"version": 1, "config": config, "id": config_id(config)}
    values["config"] = config | {"seed": 4}
    with pytest.raises(DataError, match="configuration hashes to"):
        Record.from_json(values)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot read a record"),
        ('{"format": "dropsmith.record", "ver', "cannot read a record"),
        ("[]", "its format is not"),
        ("3", "its format is not"),
        ('{"format": "dropsmith.plan"}', "its format is not"),
        (
            '{"format": "dropsmith.record", "version": 3}',
            "its version is 3, and this dropsmith reads version 2",
        ),
        (
            '{"format": "dropsmith.record", "version": 1, "id": "x"}',
            "12 hexadecimal digits, but is 'x'",
        ),
    ],
)
def test_a_file_that_holds_no_record_is_named_with_the_reason(tmp_path, text, told):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DataError, match=told) as caught:
        Record.load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "picture.json"
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(DataError, match="picture"):
        Record.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        Record.load(tmp_path / "nowhere.json")
