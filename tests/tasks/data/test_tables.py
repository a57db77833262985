"""Tables of every kind hold the same rows, and what is no row is named with file and line."""

import csv
import gzip
import json
import sys
import tracemalloc
from pathlib import Path

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.errors import DataError, MissingExtra
from dropsmith.tasks import Bounds
from dropsmith.tasks.data.json_tables import json_rows
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
        ("t.csv", "a;b\n1;2\n3;4\n", (2, 3)),
        ("t.csv", "a\tb\n1\t2\n\n3\t4\n", (2, 4)),
        ("t.csv.gz", '"a"|"b"\n"1"|2\n3|4\n', (2, 3)),
        ("t.tsv", "a,b\n1,2\n3,4\n", (2, 3)),
        ("t.csv", "a;b\n1;2\n3;4\n".encode("utf-16"), (2, 3)),
        ("t.json", '[{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]', (1, 2)),
        ("t.json.gz", '{"a": ["1", "3"],\n "b": ["2", "4"]}', (1, 2)),
        ("t.json", '{"a": {"0": "1", "5": "3"}, "b": {"0": "2", "5": "4"}}', (1, 2)),
        ("t.json", '{"data": [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]}', (1, 2)),
        ("t.json", '{"columns": ["a", "b"], "data": [["1", "2"], ["3", "4"]]}', (1, 2)),
        ("t.json", '{"a": "1", "b": "2"}\n{"a": "3", "b": "4"}\n', (1, 2)),
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


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
def test_every_delimiter_is_found_among_texts_full_of_others(tmp_path, delimiter, name, quoting):
    texts = ["one, two; three", "a | b", "x;y|z", "plain", "1,5 or 2;5"]
    if delimiter == "\t" and name == "t.tsv":
        quoting = csv.QUOTE_NONE
    with (tmp_path / name).open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(
            [
                ["text", "label", "id"],
                *([text, "good", number] for number, text in enumerate(texts)),
            ]
        )
    read = [row for _, row in table_rows(tmp_path / name)]
    assert [row["text"] for row in read] == texts
    assert {len(row) for row in read} == {3}


def test_a_delimiter_and_an_encoding_that_are_given_are_used(tmp_path):
    path = written(tmp_path / "t.csv", "é#b\n1,2;3#4\n".encode("cp1252"))
    with pytest.raises(DataError, match="--encoding cp1252"):
        list(table_rows(path))
    assert list(table_rows(path, delimiter="#", encoding="cp1252")) == [
        (2, {"é": "1,2;3", "b": "4"})
    ]


@pytest.mark.parametrize("orient", ["records", "columns", "split", "table", "index", "values"])
def test_what_pandas_writes_as_json_is_read_or_refused(tmp_path, orient):
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    frame.to_json(tmp_path / "t.json", orient=orient)
    if orient == "values":
        with pytest.raises(DataError, match="holds no table"):
            list(table_rows(tmp_path / "t.json"))
        return
    rows = [row for _, row in table_rows(tmp_path / "t.json")]
    assert [(row["a"], row["b"]) for row in rows] == [(1, "x"), (2, "y")]


def test_parquet_gives_the_rows_that_pandas_wrote(tmp_path):
    frame = pandas.DataFrame({"a": range(9), "b": [None, *map(str, range(8))]})
    frame.to_parquet(tmp_path / "t.parquet")
    read = list(table_rows(tmp_path / "t.parquet"))
    assert [number for number, _ in read] == list(range(1, 10))
    assert [row["a"] for _, row in read] == list(range(9))
    assert [row["b"] for _, row in read] == [None, *map(str, range(8))]
    with pytest.raises(DataError, match=r"more than 8 rows[\s\S]*--bound rows=16"):
        list(table_rows(tmp_path / "t.parquet", Bounds(rows=8)))
    with pytest.raises(DataError, match="more than 100 bytes"):
        list(table_rows(tmp_path / "t.parquet", Bounds(bytes=100)))


def test_a_damaged_parquet_file_and_a_missing_pyarrow_are_one_sentence(tmp_path, monkeypatch):
    path = written(tmp_path / "t.parquet", b"PAR1 and no more")
    with pytest.raises(DataError, match=r"cannot read .*t\.parquet\n  "):
        list(table_rows(path))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"needs pyarrow[\s\S]*dropsmith\[parquet\]"):
        list(table_rows(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", '{"a": 1}', "holds no table"),
        ("t.json", "[[1, 2]]", "holds no table"),
        ("t.json", '{"a": [1], "b": [1, 2]}', "do not hold the same rows: a 1, b 2"),
        ("t.json", '{"a": {"0": 1}, "b": {"1": 1}}', "do not hold the same rows"),
        ("t.json", '{"columns": ["a"], "data": [[1, 2]]}', "one cell for each of its columns"),
        ("t.json", "[1, ", "t.json is not JSON"),
        ("t.json", '[{"a": 1, "a": 2}]', "t.json has the field 'a' twice"),
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
        ("t.jsonl", '{"a": ' + "9" * 5000 + "}", "line 1 of .* holds a whole number of thousands"),
        ("t.jsonl", '{"a": "\\ud800"}', "line 1 of .* has half a character"),
        ("t.csv", b"a,b\n1,\xff\n", "line 2 of .* is not in UTF-8"),
        ("t.csv", b"a,b\n1,\x00\n", "line 2 of .* has a byte 0"),
        ("t.txt", "a", "a table ends in .csv, .tsv, .jsonl, .json, .parquet"),
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
    assert peak < 60 * 2**20


TWICE = [
    '{"a": 1, "b": ":", "a": 2}',
    '{"a": 1, "b" :2, "a":3}',
    '{"a": 1, "b"\t: 2, "a": ":"}',
    '{"a":1,"\\u0061":2}',
    '{"b": {"a": 1, "a": 1}}',
    '{"b": [{"a": 1, "a": 1}]}',
]


@pytest.mark.parametrize("line", TWICE)
def test_a_field_that_stands_twice_is_seen_however_it_is_written(tmp_path, line):
    with pytest.raises(DataError, match="has the field 'a' twice"):
        rows(tmp_path / "t.jsonl", line)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", 'a":', "\\", "é"]),
            st.sampled_from(['"', '":', '":"', "", "\\", [], {"a": 1}, 1, None]),
            st.sampled_from([":", " :", ": ", "\t:"]),
        ),
        max_size=4,
    )
)
def test_fields_are_refused_where_two_have_one_name_and_only_there(fields):
    line = "{" + ",".join(json.dumps(n) + s + json.dumps(v) for n, v, s in fields) + "}"
    if len({name for name, _, _ in fields}) < len(fields):
        with pytest.raises(DataError, match="twice"):
            list(json_rows(Path("t"), [line]))
    else:
        assert list(json_rows(Path("t"), [line])) == [(1, {n: v for n, v, _ in fields})]
