"""A comparison as a value and as a file."""

import json
from dataclasses import replace

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
    with pytest.raises(DataError, match="version is 9"):
        Comparison.load(tmp_path)


def test_failed_runs_are_kept_apart_from_finished_ones():
    row = comparison({"dropout": [0.1, 0.2, 0.3]}, failed=(1,)).rows[0]
    assert row.scores("test_nll") == {0: 0.1, 2: 0.3}
    assert [record.config["seed"] for record in row.failed_records] == [1]


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (
            ("records", 0),
            "../../etc/x0",
            r"rows\.0\.records\.0 should be a record id of 12 hexadec",
        ),
        (("records", 0), 7, r"rows\.0\.records\.0 should be a valid string, but is 7"),
        (("records",), [], r"rows\.0\.records should have at least 1 item"),
        (("trials", 0, "records", 1), "/tmp/elsewhe", r"rows\.0\.trials\.0\.records\.1 should be"),
        (("trials", 0, "records"), [], r"rows\.0\.trials\.0\.records should have at least 1 item"),
        (("trials", 0, "setting"), {"rate": "0.1"}, r"setting\.rate should be a valid number"),
        (("setting",), {"rate": float("nan")}, r"rows\.0\.setting\.rate should be"),
        (("method",), None, r"rows\.0\.method should be a valid string, but is None"),
        (("colour",), 1, r"rows\.0\.colour is unknown"),
        (("method",), "spatial", "two rows of the method 'spatial'"),
    ],
)
def test_fields_of_its_file_are_checked_and_named(tmp_path, place, value, says):
    saved(tmp_path)
    path = tmp_path / "comparison.json"
    values = json.loads(path.read_text())
    *holders, last = place
    holder = values["rows"][0]
    for key in holders:
        holder = holder[key]
    holder[last] = value
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match=rf"cannot read a comparison from .*\n  .*{says}"):
        Comparison.load(tmp_path)


def test_a_record_outside_of_the_folder_is_never_read(tmp_path):
    found = saved(tmp_path / "runs")
    record = found.rows[0].records[0]
    record.save(tmp_path)
    path = tmp_path / "runs" / "comparison.json"
    path.write_text(path.read_text().replace(record.id, f"../{record.id}"))
    with pytest.raises(DataError, match="12 hexadecimal digits"):
        Comparison.load(tmp_path / "runs")


def test_a_record_in_the_row_of_another_method_is_refused(tmp_path):
    found = saved(tmp_path)
    first, second = (row.records[0].id for row in found.rows[:2])
    path = tmp_path / "comparison.json"
    swapped = path.read_text().replace(first, "~").replace(second, first).replace("~", second)
    path.write_text(swapped)
    with pytest.raises(DataError, match="in the row of 'none', and it is of 'dropout'"):
        Comparison.load(tmp_path)


def test_one_record_does_not_count_twice(tmp_path):
    found = saved(tmp_path)
    first, second = (record.id for record in found.rows[0].records[:2])
    path = tmp_path / "comparison.json"
    path.write_text(path.read_text().replace(second, first))
    with pytest.raises(DataError, match="'none' has one record twice"):
        Comparison.load(tmp_path)


def test_records_that_are_of_no_run_are_refused(tmp_path):
    found = comparison({"none": [0.1, 0.2]})
    bad = {"budget": {"epochs": -1}}
    runs = [replace(run, config=run.config | bad) for run in found.rows[0].records]
    row = replace(found.rows[0], records=tuple(runs), trials=())
    for run in runs:
        run.save(tmp_path)
    replace(found, rows=(row,)).save(tmp_path)
    with pytest.raises(DataError, match=r"of no run: its configuration's field budget"):
        Comparison.load(tmp_path)


def test_a_finished_run_without_a_score_that_is_asked_for_is_named():
    row = comparison({"none": [0.1, 0.2]}).rows[0]
    with pytest.raises(DataError, match=f"{row.records[0].id} has finished, and has no score 'f1'"):
        row.scores("f1")
