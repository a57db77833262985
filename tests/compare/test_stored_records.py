"""Folders of an earlier version become what this one writes, number for number."""

import json
from dataclasses import replace

import pytest

from compare.synthetic import LOSSES, comparison
from dropsmith.compare import FILE, Comparison, migrate_records
from dropsmith.errors import DataError
from dropsmith.record import config_id

FOUND = comparison({name: LOSSES[name] for name in ("none", "dropout")})


def age(record, folder, data):
    """Write a record as version 1 did: with the path of the data in what is hashed."""
    config = {"task": record.config["task"], "data": data} | record.config
    environment = {k: v for k, v in record.environment.items() if k != "data_given"}
    values = record.to_json() | {
        "version": 1,
        "id": config_id(config),
        "config": config,
        "environment": environment,
    }
    (folder / f"{values['id']}.json").write_text(json.dumps(values))
    return values["id"]


@pytest.fixture
def aged(tmp_path):
    """The folder of a comparison by version 1, whose data two people spelled differently."""
    ids = {
        record.id: age(record, tmp_path, ("../data", "/home/me/data")[index % 2])
        for index, record in enumerate(FOUND.records)
    }
    text = json.dumps(FOUND.to_json())
    for new, old in ids.items():
        text = text.replace(new, old)
    (tmp_path / FILE).write_text(text)
    return tmp_path


def given(record):
    return replace(record, environment=record.environment | {"data_given": True})


def test_a_comparison_of_version_1_is_read_as_it_was_but_for_paths(aged):
    assert [record.scores for record in Comparison.load(aged).records] == [
        record.scores for record in FOUND.records
    ]
    assert Comparison.load(aged).records == tuple(given(record) for record in FOUND.records)


def test_a_renewed_folder_has_the_files_that_this_version_writes(aged, tmp_path_factory):
    fresh = tmp_path_factory.mktemp("fresh")
    for record in FOUND.records:
        given(record).save(fresh)
    FOUND.save(fresh)
    assert migrate_records(aged) == len(FOUND.records)
    assert {path.name: path.read_text() for path in aged.iterdir()} == {
        path.name: path.read_text() for path in fresh.iterdir()
    }


def test_renewing_twice_is_renewing_once(aged):
    migrate_records(aged)
    before = {path.name: path.read_text() for path in aged.iterdir()}
    assert migrate_records(aged) == 0
    assert {path.name: path.read_text() for path in aged.iterdir()} == before


def test_a_folder_with_a_record_that_cannot_be_read_is_left_alone(aged):
    (aged / "0123456789ab.json").write_text("{}")
    before = sorted(path.name for path in aged.iterdir())
    with pytest.raises(DataError, match=r"0123456789ab"):
        migrate_records(aged)
    assert sorted(path.name for path in aged.iterdir()) == before


def test_two_records_of_one_run_are_named_and_both_kept(tmp_path):
    first, second = FOUND.records[0], replace(FOUND.records[0], scores={"test_nll": 9.0})
    ids = [age(first, tmp_path, "../data"), age(second, tmp_path, "../../data")]
    with pytest.raises(DataError, match="records of one run"):
        migrate_records(tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(ids)
