"""What is no pair of texts is named with its place."""

import json

import pytest

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import TASKS
from dropsmith.tasks.seq2seq.summarisation import read_samsum, read_scitldr

PAIR = {"dialogue": "A: b", "summary": "A says b."}


def write(folder, rows):
    for part in ("train", "validation", "test"):
        text = "\n".join(rows if part == "validation" else [json.dumps(PAIR)])
        (folder / f"{part}.jsonl").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"dialogue": "a"}', "line 2 of .*validation.jsonl has no 'summary'"),
        ('{"dialogue": null, "summary": "a"}', "line 2 of .* has no 'dialogue'"),
        ('{"dialogue": 5, "summary": "a"}', "line 2 of .*: 'dialogue' is neither a text nor"),
        ('{"dialogue": ["a", 5], "summary": "a"}', "line 2 of .*: 'dialogue' is neither"),
        ('{"dialogue": {"a": 5}, "summary": "a"}', "line 2 of .*: 'dialogue' is neither"),
        ('["a"]', "line 2 of .* is not a JSON object"),
        ('{"dialogue": "a", "dialogue": "b"}', "line 2 of .* twice"),
        ("{", "line 2 of .* is not JSON"),
    ],
)
def test_a_row_that_is_no_pair_is_named_with_file_and_line(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        read_samsum(write(tmp_path, [json.dumps(PAIR), row]))


def test_pairs_in_which_one_is_empty_are_left_out_as_they_were(tmp_path):
    rows = [PAIR, PAIR | {"summary": " "}, PAIR | {"dialogue": []}, PAIR | {"summary": ["", "b"]}]
    parts = read_samsum(write(tmp_path, [json.dumps(row) for row in rows])).parts
    assert parts["validation"] == [("A: b", ("A says b.",)), ("A: b", ("b",))]


def test_a_part_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file train\.jsonl"):
        read_scitldr(tmp_path)


@pytest.mark.parametrize("name", ["words", "beams", "longest", "smoothing", "limit"])
@pytest.mark.parametrize("value", [True, -1, "5", float("nan"), 2**63, [1]], ids=lambda v: "")
def test_numbers_of_a_task_out_of_range_are_refused_where_they_are_given(name, value):
    from dataclasses import replace

    with pytest.raises(TaskError, match=rf"^(the bound )?{name} must be "):
        replace(TASKS["samsum"], **{name: value})
