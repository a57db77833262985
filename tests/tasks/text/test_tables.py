import gzip
import json

import pytest

from dropsmith.errors import DataError
from dropsmith.tasks.text.tables import read_table

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
    assert read_table(written(tmp_path / name, content), ("text",)) == ROWS


@pytest.mark.parametrize(
    ("label", "name"), [(1, "1"), (1.5, "1.5"), (-3, "-3"), (True, "True"), (" a ", "a"), (0, "0")]
)
def test_labels_in_json_are_read_as_written(tmp_path, label, name):
    content = json.dumps({"text": "a", "label": label, "more": {"of": ["this", None]}})
    assert read_table(written(tmp_path / "t.jsonl", content), ("text",)) == [("a", name)]


@pytest.mark.parametrize("label", ["None", "null", "nan", "NA"])
def test_a_word_for_nothing_is_a_label_like_any_other(tmp_path, label):
    path = written(tmp_path / "t.csv", f"text,label\na,{label}\n")
    assert read_table(path, ("text",)) == [("a", label)]


def test_the_first_column_that_exists_is_the_text(tmp_path):
    path = written(tmp_path / "t.csv", "sentence,label\na,1\n")
    assert read_table(path, ("text", "sentence")) == [("a", "1")]


@pytest.mark.parametrize("value", ["null", "NaN", '""', '" "'])
def test_a_label_that_is_missing_is_refused(tmp_path, value):
    content = f'{{"text": "a", "label": 1}}\n{{"text": "b", "label": {value}}}\n'
    with pytest.raises(DataError, match=r"line 2 of .*t\.jsonl has no 'label'\n  fill it in"):
        read_table(written(tmp_path / "t.jsonl", content), ("text",))


@pytest.mark.parametrize("column", ["text", "label"])
@pytest.mark.parametrize(
    ("value", "kind"), [("[1]", "a list"), ("{}", "a dict"), ("1e999", "infinite")]
)
def test_what_is_neither_text_nor_number_is_refused(tmp_path, column, value, kind):
    fields = {"text": '"a"', "label": "1"} | {column: value}
    content = "{" + ", ".join(f'"{name}": {field}' for name, field in fields.items()) + "}"
    with pytest.raises(DataError, match=rf"line 1 of .*t\.jsonl: '{column}' is {kind}, and not"):
        read_table(written(tmp_path / "t.jsonl", content), ("text",))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "body,label\na,1\n", r"no column 'text' or 'sentence'[\s\S]*are: body, label"),
        ("t.csv", "text,mood\na,1\n", r"no column 'label'[\s\S]*are: text, mood"),
        ("t.csv", "", "no rows"),
        ("t.csv", "text,label\n", "no rows"),
        ("t.tsv", "text\tlabel\na\tb\tc\n", "line 2 of .* has 3 columns, its header 2"),
        ("t.csv", "text,label\na,1\nb,\n", "line 3 of .* has no 'label'"),
        ("t.csv", "text,label\na, \n", "line 2 of .* has no 'label'"),
        ("t.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', "line 2 of .* has no 'label'"),
        ("t.jsonl", '{"text": "a", "label": 1}\n{"label": 1}\n', "line 2 of .* has no 'text'"),
        ("t.jsonl", '{"text": null, "label": 1}\n', "line 1 of .* has no 'text'"),
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


def test_every_label_is_checked_with_its_place(tmp_path):
    path = written(tmp_path / "t.csv", 'text,label\n"a\nb",1\nc,2\n')
    checked = []
    read_table(path, ("text",), check=lambda label, place: checked.append((label, place)))
    assert checked == [("1", (path, 2)), ("2", (path, 4))]
