"""The options of data mean one value, and every command that reads data takes them."""

import inspect
from dataclasses import replace

import pytest

from dropsmith.cli._app import COMMANDS
from dropsmith.cli._data_options import data_options_of, print_data, takes_data_options
from dropsmith.errors import TaskError
from dropsmith.tasks import Bounds, DataOptions, find_task


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ({}, DataOptions()),
        ({"text_column": ["a", "b"]}, DataOptions(text_columns=("a", "b"))),
        ({"feature_columns": ["a, b", "c"]}, DataOptions(feature_columns=("a", "b", "c"))),
        ({"delimiter": "tab"}, DataOptions(delimiter="\t")),
        ({"delimiter": "\\t"}, DataOptions(delimiter="\t")),
        ({"delimiter": ";"}, DataOptions(delimiter=";")),
        ({"image_size": "64"}, DataOptions(image_size=(64, 64))),
        ({"image_size": "48x64"}, DataOptions(image_size=(48, 64))),
        ({"image_size": "48X64"}, DataOptions(image_size=(48, 64))),
        ({"text_length": 9, "kind": "regression"}, DataOptions(text_length=9, kind="regression")),
        ({"drop_repeats": "test"}, DataOptions(drop_repeats="test")),
        ({"bound": ["rows=5"]}, DataOptions(bounds=Bounds(rows=5))),
    ],
)
def test_what_is_typed_is_one_value(typed, value):
    assert data_options_of(**typed) == value


@pytest.mark.parametrize(
    "typed",
    [
        {"image_size": "big"},
        {"image_size": "1x2x3"},
        {"image_size": "-3"},
        {"image_size": "0"},
        {"delimiter": "::"},
        {"kind": "classes"},
        {"encoding": "klingon"},
        {"decimal": ";"},
        {"drop_repeats": "validation"},
        {"text_column": [" "]},
        {"bound": ["rows=many"]},
    ],
)
def test_what_means_nothing_is_one_sentence(typed):
    with pytest.raises(TaskError):
        data_options_of(**typed)


@pytest.mark.parametrize(
    "options",
    [
        DataOptions(text_columns=("a", "b b"), label_column="c", encoding="cp1252"),
        DataOptions(feature_columns=("a", "b"), id_column="i", delimiter="\t", kind="regression"),
        DataOptions(image_size=(3, 4)),
        DataOptions(decimal=",", delimiter=";"),
        DataOptions(validation="a b.csv", test="c.csv"),
        DataOptions(text_columns=("a",), feature_columns=("b", "c")),
        DataOptions(text_length=5, drop_repeats="train"),
    ],
)
def test_the_words_of_a_value_are_what_is_typed(options):
    words, typed = list(options.words()), {}
    while words:
        flag, value, *words = words
        name = flag.removeprefix("--").replace("-", "_")
        if name in ("text_column", "feature_columns"):
            typed.setdefault(name, []).append(value)
        else:
            typed[name] = int(value) if name == "text_length" else value
    assert data_options_of(**typed) == options


def test_every_command_that_reads_data_takes_them_and_is_given_one_value():
    for name, command in COMMANDS.items():
        parameters = inspect.signature(command).parameters
        assert ("data" in parameters) <= ("data_options" in parameters), name
    given = {}

    def command(task: str, data_options=None, seed: int = 0) -> None:
        given.update(task=task, data_options=data_options, seed=seed)

    wrapped = takes_data_options(command)
    names = list(inspect.signature(wrapped).parameters)
    assert names[0] == "task"
    assert {"text_column", "encoding", "bound"} <= set(names)
    wrapped(task="a.csv", label_column="stars", seed=3)
    assert given == {
        "task": "a.csv",
        "data_options": DataOptions(label_column="stars"),
        "seed": 3,
    }


def test_what_was_found_is_printed_of_own_data_and_beside_json_on_standard_error(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"a text {i},{'ab'[i % 2]}\n" for i in range(60)))
    task = find_task(str(path))
    print_data(task, task.load(), None, as_json=False)
    out, err = capsys.readouterr()
    assert (out.splitlines()[1], err) == ("columns      text: text; label: label (classes)", "")
    print_data(task, task.load(), None, as_json=True)
    assert capsys.readouterr() == ("", out)
    digits = find_task("digits")
    print_data(digits, digits.load(), None, as_json=False)
    assert capsys.readouterr() == ("", "")
    noted = replace(digits.load(), notes=(("pictures", "small"), ("repeated", "2 are there twice")))
    print_data(digits, noted, None, as_json=False)
    assert capsys.readouterr() == ("repeated: 2 are there twice\n", "")


def test_a_folder_that_is_called_like_a_task_is_said_not_to_be_used(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    digits = find_task("digits")
    for as_json in (False, True):
        print_data(digits, digits.load(), None, as_json)
        out, err = capsys.readouterr()
        assert out == ""
        assert "for the digits in this folder, type ./digits" in err
