"""A comparison as a value and as a file."""

import json

import pytest

from compare.synthetic import LOSSES, comparison
from dropsmith.compare import Comparison
from dropsmith.errors import DataError


def saved(folder):
    found = comparison(LOSSES)
    for record in found.records:
        record.save(folder)
    found.save(folder)
    return found


def test_it_comes_back_from_its_folder_equal(tmp_path):
    assert saved(tmp_path) == Comparison.load(tmp_path)


@pytest.mark.parametrize(
    ("methods", "baseline"),
    [
        (("none", "dropout", "spatial"), "dropout"),
        (("spatial", "none"), "none"),
        (("spatial", "blocks"), "spatial"),
    ],
)
def test_the_baseline_is_dropout_else_none_else_the_first(methods, baseline):
    assert comparison({name: [0.1, 0.2] for name in methods}).baseline == baseline


def test_a_folder_without_a_comparison_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match="dropsmith compare digits"):
        Comparison.load(tmp_path)


def test_a_missing_record_is_named(tmp_path):
    lost = saved(tmp_path).rows[0].records[0].id
    (tmp_path / f"{lost}.json").unlink()
    with pytest.raises(DataError, match=lost):
        Comparison.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "dropsmith.record"}'])
def test_another_file_in_its_place_is_refused(tmp_path, text):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(DataError, match=r"comparison\.json"):
        Comparison.load(tmp_path)


def test_another_version_is_refused(tmp_path):
    saved(tmp_path)
    path = tmp_path / "comparison.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 9}))
    with pytest.raises(DataError, match="version 9"):
        Comparison.load(tmp_path)


def test_failed_runs_are_kept_apart_from_finished_ones():
    row = comparison({"dropout": [0.1, 0.2, 0.3]}, failed=(1,)).rows[0]
    assert row.scores("test_nll") == {0: 0.1, 2: 0.3}
    assert [record.config["seed"] for record in row.failed_records] == [1]
