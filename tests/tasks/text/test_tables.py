import gzip

import pytest

from dropsmith.errors import DataError
from dropsmith.tasks.text.tables import is_table, read_table

ROWS = [('he said "no", twice', "bad"), ("fine", "good")]


def written(path, content):
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", 'label,text\nbad,"he said ""no"", twice"\ngood,fine\n'),
        ("t.CSV", '\ufefflabel,text\r\nbad,"he said ""no"", twice"\r\n\r\ngood,fine\r\n'),
        ("t.tsv", 'text\tlabel\nhe said "no", twice\tbad\nfine\tgood\n'),
        ("t.tsv.gz", 'id\ttext\tlabel\n1\the said "no", twice\tbad\n2\tfine\tgood\n'),
        ("t.jsonl", '{"text": "he said \\"no\\", twice", "label": "bad"}\n\n'
                    '{"label": "good", "text": "fine"}\n'),
    ],
)  # fmt: skip
def test_every_kind_of_table_gives_the_same_examples(tmp_path, name, content):
    path = written(tmp_path / name, content)
    assert is_table(path)
    assert read_table(path, ("text",)) == ROWS


def test_numbers_as_labels_in_json_are_read_as_written(tmp_path):
    path = written(tmp_path / "t.jsonl", '{"text": "a", "label": 1}\n')
    assert read_table(path, ("text",)) == [("a", "1")]


def test_the_first_column_that_exists_is_the_text(tmp_path):
    path = written(tmp_path / "t.csv", "sentence,label\na,1\n")
    assert read_table(path, ("text", "sentence")) == [("a", "1")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "body,label\na,1\n", r"no column 'text' or 'sentence'[\s\S]*are: body, label"),
        ("t.csv", "text,mood\na,1\n", r"no column 'label'[\s\S]*are: text, mood"),
        ("t.csv", "", "no rows"),
        ("t.csv", "text,label\n", "no rows"),
        ("t.tsv", "text\tlabel\na\tb\tc\n", "line 2 of .* has 3 columns, its header 2"),
        ("t.csv", "text,label\na,\n", "row 1 of .* has no 'text' or no 'label'"),
        ("t.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', "row 2 of"),
        ("t.jsonl", "{no\n", "line 1 of .* is not JSON"),
        ("t.jsonl", "[1]\n", "line 1 of .* is not a JSON object"),
        ("t.txt", "a", "a table ends in .csv, .tsv, .jsonl"),
        ("t.csv.gz", None, "no file"),
    ],
)
def test_a_table_that_cannot_be_read_says_where_and_why(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        written(path, content)
    with pytest.raises(DataError, match=message):
        read_table(path, ("text", "sentence"))


def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"cannot read .*t\.csv\.gz"):
        read_table(tmp_path / "t.csv.gz", ("text",))
    (tmp_path / "t.csv").write_bytes(b"text,label\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"cannot read .*t\.csv"):
        read_table(tmp_path / "t.csv", ("text",))
