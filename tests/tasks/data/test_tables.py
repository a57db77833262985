"""Tables of every kind hold the same rows, and what is no row is named with file and line."""

import csv
import gzip
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.errors import DataError
from dropsmith.tasks import Bounds
from dropsmith.tasks.data.tables import column_named, is_table, table_rows


def written(path, content):
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows(path, content, bounds=None):
    return list(table_rows(written(path, content), bounds or Bounds()))


@pytest.mark.parametrize("name", ["t.csv", "t.TSV", "t.jsonl.gz", "t.csv.gz"])
def test_a_table_is_known_by_its_name(tmp_path, name):
    assert is_table(tmp_path / name)
    assert not is_table(tmp_path / f"{name}.bz2")


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("t.csv", "a,b\n1,2\n\n3,4\n", (2, 4)),
        ("t.csv", "\ufeffa,b\r\n1,2\r3,4", (2, 3)),
        ("t.csv", '"a", b \n"1","2"\n3,4\n', (2, 3)),
        ("t.tsv", "a\tb\n1\t2\n3\t4\n", (2, 3)),
        ("t.tsv.gz", "a\tb\r\n1\t2\r\n\r\n3\t4", (2, 4)),
        ("t.jsonl", '{"a": "1", "b": "2"}\n\n{"b": "4", "a": "3"}', (1, 3)),
        ("t.jsonl", '\ufeff{"a": "1", "b": "2"}\r\n{"b": "4", "a": "3"}\r\n', (1, 2)),
    ],
)
def test_rows_come_with_the_line_they_begin_at(tmp_path, name, content, lines):
    expected = [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert rows(tmp_path / name, content) == list(zip(lines, expected, strict=True))


def test_a_row_in_quotes_may_have_several_lines(tmp_path):
    content = 'a,b\n"1\n\n2",3\n4,5\n'
    assert rows(tmp_path / "t.csv", content) == [
        (2, {"a": "1\n\n2", "b": "3"}),
        (5, {"a": "4", "b": "5"}),
    ]


CELLS = st.lists(
    st.lists(st.text(alphabet='a",\n\r é', max_size=5), min_size=2, max_size=2), max_size=4
)


@settings(deadline=None, max_examples=100)
@given(CELLS)
def test_what_csv_writes_is_read(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("cells") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["a", "b"], *cells])
    assert [list(row.values()) for _, row in table_rows(path)] == cells


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "a,b\n1\n", "line 2 of .* has 1 columns, its header 2: a, b"),
        ("t.csv", "a,b\n1,2,3\n", "line 2 of .* has 3 columns, its header 2"),
        ("t.tsv", "a\tb\n1\t2\n\t\t\n", "line 3 of .* has 3 columns"),
        ("t.csv", "a, a\n1,2\n", "2 columns of .* are called 'a'"),
        ("t.tsv", "b\ta\tb\tb\n", "3 columns of .* are called 'b'"),
        ("t.csv", 'a,b\n1,2\n"3,4\n5,6\n', "the row at line 3 of .* has an open quotation mark"),
        ("t.csv", 'a,b\n1,"2', "the row at line 2 of .* has an open quotation mark"),
        ("t.csv", '"a,b\n', "the row at line 1 of .* has an open quotation mark"),
        (
            "t.csv",
            'a,b\n1,2\n3,"' + "x" * 140_000 + '"\n',
            r"the row at line 3 of[\s\S]*field larger[\s\S]*jsonl",
        ),
        ("t.jsonl", "{no\n", "line 1 of .* is not JSON"),
        ("t.jsonl", '{"a": 1}\n[1]\n', "line 2 of .* is not a JSON object"),
        ("t.jsonl", '{"a": 1}\nnull\n', "line 2 of .* is not a JSON object"),
        ("t.jsonl", '{"a": 1, "a": 1}\n', "line 1 of .* has the field 'a' twice"),
        ("t.jsonl", '{"a": {"b": 1, "b": 1}}\n', "line 1 of .* has the field 'b' twice"),
        ("t.jsonl", "[" * 100_000, "line 1 of .* nested too deep"),
        ("t.jsonl", '{"a": ' + "9" * 5000 + "}", "line 1 of .* is not JSON"),
        ("t.jsonl", '{"a": "\\ud800"}', "line 1 of .* has half a character"),
        ("t.csv", b"a,b\n1,\xff\n", "line 2 of .* is not in UTF-8"),
        ("t.csv", b"a,b\n1,\x00\n", "line 2 of .* has a byte 0"),
        ("t.txt", "a", "a table ends in .csv, .tsv, .jsonl"),
    ],
)
def test_what_is_no_row_is_named_with_its_line(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as raised:
        rows(tmp_path / name, content)
    assert name in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.csv.gz"])
def test_a_table_without_rows_has_none(tmp_path, name):
    assert rows(tmp_path / name, "") == []
    if "jsonl" not in name:
        assert rows(tmp_path / name, "a,b\n") == []


def test_columns_without_a_name_and_names_in_another_case_are_columns_of_their_own(tmp_path):
    ((_, row),) = rows(tmp_path / "t.csv", ",a,A,\n0,1,2,3\n")
    assert (row["a"], row["A"]) == ("1", "2")


def test_pairs_of_surrogates_are_one_character(tmp_path):
    content = json.dumps({"a": "\U0001f600"})
    assert "\\ud83d" in content
    assert rows(tmp_path / "t.jsonl", content) == [(1, {"a": "\U0001f600"})]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_rows_are_bounded(tmp_path, name):
    content = "\n".join(["a", *"123"] if name != "t.jsonl" else ['{"a": 1}'] * 3)
    assert len(rows(tmp_path / name, content, Bounds(rows=3))) == 3
    with pytest.raises(DataError, match=r"more than 2 rows[\s\S]*--bound rows=4"):
        rows(tmp_path / name, content, Bounds(rows=2))


def test_an_error_names_few_of_many_columns(tmp_path):
    row = {f"column {i}": 1 for i in range(1000)}
    assert column_named(tmp_path, row, ["no", "column 3"]) == "column 3"
    with pytest.raises(DataError, match="no column 'no' or 'none'") as raised:
        column_named(tmp_path, row, ["no", "none"])
    assert len(str(raised.value)) < 600


LONG_ROWS = {
    "tabs in a header": ("t.tsv", "a" + "\t" * 100, "line 1 of"),
    "commas in a header": ("t.csv", "a" + "," * 100, "line 1 of"),
    "tabs in a row": ("t.tsv", "a\tb\n1\t2\n" + "\t" * 100, "line 3 of"),
    "cells over several lines": ("t.csv", "a,b\n" + '"1\n",' * 20, "the row at line 2 of"),
    "fields": ("t.jsonl", '{"a": [' + "[]," * 33 + "[]]}", "line 1 of"),
    "an archive": ("t.tsv.gz", "a" + "\t" * 100, "line 1 of"),
    "returns": ("t.tsv", "a\tb\r1\t2\r" + "\t" * 100 + "\r1\t2", "line 3 of"),
}


@pytest.mark.parametrize("kind", LONG_ROWS)
def test_one_row_is_bounded(tmp_path, kind):
    name, content, place = LONG_ROWS[kind]
    with pytest.raises(
        DataError, match=rf"{place} [\s\S]* more than 90 bytes[\s\S]*--bound row_bytes=180"
    ):
        rows(tmp_path / name, content, Bounds(row_bytes=90))


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("bound", range(5, 12))
def test_rows_within_their_bound_are_read_however_many_and_whatever_ends_them(tmp_path, end, bound):
    content = end.join(["a\tb", *["1\t2"] * 40])
    read = rows(tmp_path / "t.tsv", content, Bounds(row_bytes=bound))
    assert read == [(line, {"a": "1", "b": "2"}) for line in range(2, 42)]


def test_a_header_of_millions_of_tabs_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "t.tsv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(40):
            file.write(b"\t" * 2**20)
    tracemalloc.start()
    with pytest.raises(DataError, match="more than 16,777,216 bytes"):
        list(table_rows(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20
