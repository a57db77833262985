"""A class has one spelling in all files of a data set, and a value is a number that can be used."""

from pathlib import Path

import pytest

from dropsmith.errors import DataError
from dropsmith.tasks import TextSource
from dropsmith.tasks.text.label_checks import ClassSpellings, value_of

PLACE = (Path("a.csv"), 3)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1", "1.0"), ("1.0", "1"), ("0", "-0"), ("1", "01"), ("1000", "1e3"), (".5", "0.5"),
        ("true", "True"), ("FALSE", "False"), ("caf\u00e9", "cafe\u0301"),
        ("1", "true"), ("False", "0"), ("1", "\uff11"), ("3", "\u0663"), ("a", "a\u200b"),
        ("\ufeffa", "a"), ("good", "go\u00adod"), ("\uff47ood", "good"), ("a b", "a\u00a0b"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_class_are_refused_with_both_and_their_places(first, second):
    spellings = ClassSpellings()
    spellings(first, (Path("train.csv"), 2))
    spellings(first, (Path("train.csv"), 3))
    with pytest.raises(DataError) as raised:
        spellings(second, (Path("test.csv"), 7))
    assert f"{first!r} and {second!r}" in str(raised.value)
    assert "line 2 of train.csv has the first, line 7 of test.csv the second" in str(raised.value)


def test_other_classes_are_what_they_are_called():
    spellings = ClassSpellings()
    words = ["1", "2", "10", "1.5", "one", "One", "None", "null", "1a", "1_0", "1e9999999"]
    for name in [*words, "9" * 5000, str(2**53), str(2**53 + 1)]:
        spellings(name, PLACE)


@pytest.mark.parametrize("file", ["train", "dev", "test"])
@pytest.mark.parametrize(
    ("kind", "label", "message"),
    [
        ("classification", "1.0", "one class has two spellings"),
        ("regression", "nan", "the label at line 5 of .* is 'nan', and not a number"),
        ("regression", "inf", "and not a number"),
        ("regression", "1e400", r"and not from -1e\+30 to 1e\+30"),
        ("regression", "-2e30", r"and not from -1e\+30 to 1e\+30"),
        ("regression", "1_000", "and not a number"),
        ("regression", "\u0661", "and not a number"),
        ("regression", "True", "and not a number"),
        ("regression", "9" * 5000, "and not from"),
    ],
)
def test_labels_are_looked_at_over_all_files(tmp_path, file, kind, label, message):
    for name in ("train", "dev", "test"):
        rows = [f"{name} {i},{i % 2}" for i in range(3)]
        last = label if name == file else "1"
        text = "\n".join(["text,label", *rows, f"{name} more,{last}", ""])
        (tmp_path / f"{name}.csv").write_text(text)
    source = TextSource(name="text", about="texts", text=("text",), kind=kind)
    with pytest.raises(DataError, match=message) as raised:
        source.parts(tmp_path)
    assert f"{file}.csv" in str(raised.value)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(("label", "value"), [("2", 2.0), ("-.5", -0.5), ("+1e3", 1000.0)])
def test_a_value_is_the_number_that_is_written(label, value):
    assert value_of(label, PLACE) == value


def test_a_class_that_only_the_test_has_is_named(tmp_path):
    for name in ("train", "dev", "test"):
        extra = "odd,2\n" if name == "test" else ""
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name} a,0\n{name} b,1\n{extra}")
    source = TextSource(name="text", about="texts", text=("text",))
    with pytest.raises(DataError, match="no training example of class '2'"):
        source.examples(tmp_path, None)


@pytest.mark.parametrize(
    ("second", "signs"),
    [("go\u200bod", "3: U+006F and U+200B"), ("\uff47ood", "1: U+0067 and U+FF47"),
     ("good\u200b", "5: nothing and U+200B")],
)  # fmt: skip
def test_of_labels_that_look_alike_the_signs_are_named(second, signs):
    spellings = ClassSpellings()
    spellings("good", PLACE)
    with pytest.raises(DataError, match="two spellings") as raised:
        spellings(second, PLACE)
    assert f"they differ at character {signs}" in str(raised.value)
