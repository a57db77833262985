"""A user's own parts stay as they are; what is missing is cut, and what is in two parts is said."""

import random

import pandas
import pytest

from dropsmith.errors import DataError
from dropsmith.tasks import DataOptions, find_task
from dropsmith.tasks.text.division import divide, group_names

PARTS = ("train", "validation", "test")
WORDS = ["the", "a", "film", "book", "was", "good", "bad", "long", "not"]


def texts(first, count, label="label"):
    draw = random.Random(first)
    return pandas.DataFrame(
        {
            "text": [f"{' '.join(draw.choices(WORDS, k=6))} {first + i}" for i in range(count)],
            label: ["ab"[i % 2] for i in range(count)],
        }
    )


def numbers(first, count):
    return pandas.DataFrame(
        {
            "a": [first + i for i in range(count)],
            "b": [i % 7 for i in range(count)],
            "label": ["xy"[i % 2] for i in range(count)],
        }
    )


def read_back(data, part):
    """The inputs and labels of a part: words of texts, or rounded numbers."""
    columns = getattr(data, part).columns
    labels = [data.names[label] for label in columns["labels"].tolist()]
    if "features" in columns:
        feature = data.preprocessing.features[0]
        values = columns["features"][:, 0].tolist()
        return [
            (round(v * feature.unit + feature.mean), n) for v, n in zip(values, labels, strict=True)
        ]
    return [(len(row.nonzero()), n) for row, n in zip(columns["tokens"], labels, strict=True)]


WRITERS = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "json": lambda frame, path: frame.to_json(path, orient="records"),
    "parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("make", [texts, numbers])
def test_parts_in_files_of_any_form_are_those_parts_however_they_are_named(tmp_path, suffix, make):
    for name, frame in (("train", make(0, 40)), ("valid", make(100, 9)), ("test", make(200, 11))):
        WRITERS[suffix](frame, tmp_path / f"{name}.{suffix}")
    of_folder = find_task(str(tmp_path)).load()
    assert [len(getattr(of_folder, part)) for part in PARTS] == [40, 9, 11]
    files = {
        part: tmp_path / f"{name}.{suffix}"
        for part, name in (("validation", "valid"), ("test", "test"))
    }
    by_name = find_task(str(tmp_path / f"train.{suffix}"), data_options=DataOptions(**files)).load()
    assert by_name.sha256 == of_folder.sha256
    task = "text" if make is texts else "numbers"
    train = tmp_path / f"train.{suffix}"
    beside = find_task(task, train, DataOptions(**files)).load(train)
    assert beside.sha256 == of_folder.sha256
    assert dict(by_name.notes)["split"] == (
        f"train is train.{suffix}; validation is valid.{suffix}; test is test.{suffix}"
    )


@pytest.mark.parametrize(("given", "missing"), [("valid", "test"), ("test", "validation")])
def test_a_missing_part_is_cut_from_training_with_equal_rows_together(tmp_path, given, missing):
    numbers(0, 60).to_csv(tmp_path / "train.csv", index=False)
    with (tmp_path / "train.csv").open("a") as file:
        file.writelines((tmp_path / "train.csv").read_text().splitlines(keepends=True)[1:])
    numbers(500, 9).to_csv(tmp_path / f"{given}.csv", index=False)
    data = find_task(str(tmp_path)).load()
    held = "validation" if given == "valid" else "test"
    assert [value for value, _ in read_back(data, held)] == list(range(500, 509))
    train, cut = (read_back(data, part) for part in ("train", missing))
    assert (len(train), len(cut)) == (102, 18)
    assert not set(train) & set(cut)
    assert all(cut.count(row) == 2 for row in cut)
    assert sorted({value for value, _ in train + cut}) == list(range(60))
    again = find_task(str(tmp_path)).load()
    assert read_back(again, missing) == cut


def test_more_training_rows_move_none_that_were_there():
    rows = [(f"text {i}", "a") for i in range(400)]
    one, more = (
        divide({"all": rows[:n]}, lambda rows: [text for text, _ in rows]) for n in (300, 400)
    )
    assert all(set(one[part]) <= set(more[part]) for part in PARTS)


def test_texts_in_a_later_part_are_counted_and_left_out(tmp_path):
    train, valid, test = texts(0, 40), texts(100, 10), texts(200, 10)
    train.loc[:2, "text"] = valid["text"][:3].tolist()
    train.loc[3, "text"] = test["text"][0]
    valid.loc[9, "text"] = test["text"][5]
    for name, frame in (("train", train), ("dev", valid), ("test", test)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    data = find_task(str(tmp_path)).load()
    assert [len(getattr(data, part)) for part in PARTS] == [36, 9, 10]
    assert dict(data.notes)["repeated"] == (
        "4 training texts and 1 validation text are in a later part too, and are left out"
    )


@pytest.mark.parametrize(
    ("drop", "sizes", "note"),
    [
        ("train", (38, 10, 10), "2 training texts are in a later part too, and are left out"),
        (
            "test",
            (40, 9, 9),
            "1 validation text and 1 test text are in an earlier part too, and are left out",
        ),
    ],
)
def test_texts_equal_but_for_case_and_space_are_left_out_of_the_side_that_is_named(
    tmp_path, drop, sizes, note
):
    train, valid, test = texts(0, 40), texts(100, 10), texts(200, 10)
    valid.loc[2, "text"] = train["text"][3].upper()
    test.loc[2, "text"] = f"  {train['text'][4]}"
    test.loc[2, "label"] = "ab"[train["label"][4] == "a"]
    for name, frame in (("train", train), ("dev", valid), ("test", test)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    data = find_task(str(tmp_path), data_options=DataOptions(drop_repeats=drop)).load()
    assert tuple(len(getattr(data, part)) for part in PARTS) == sizes
    assert dict(data.notes)["repeated"] == note
    assert "conflicts" not in dict(data.notes)


def test_one_table_has_no_input_in_two_parts_and_its_contradictions_are_counted(tmp_path):
    frame = texts(0, 200)
    shouted = frame.assign(text=frame["text"].str.upper() + " .", label="a")
    plain = frame.assign(text=frame["text"] + ".")
    pandas.concat([plain, shouted]).to_csv(tmp_path / "t.csv", index=False)
    notes = dict(find_task(str(tmp_path / "t.csv")).load().notes)
    assert "repeated" not in notes
    assert notes["conflicts"] == "100 texts are there with more than one label"


def test_equal_numbers_are_one_row_however_they_are_written(tmp_path):
    rows = "".join(f"{i},{i % 7},{'xy'[i % 2]}\n{i}.0,{i % 7}.00,x\n" for i in range(120))
    (tmp_path / "t.csv").write_text(f"a,b,label\n{rows}")
    data = find_task(str(tmp_path / "t.csv")).load()
    values = [{value for value, _ in read_back(data, part)} for part in PARTS]
    assert sum(map(len, values)) == len(set.union(*values)) == 120
    assert dict(data.notes)["conflicts"] == "60 rows are there with more than one label"


def test_rows_of_numbers_in_a_later_part_are_counted_and_kept(tmp_path):
    for name, frame in (
        ("train", numbers(0, 40)),
        ("val", numbers(39, 2)),
        ("test", numbers(60, 9)),
    ):
        frame.assign(b=0).to_csv(tmp_path / f"{name}.csv", index=False)
    data = find_task(str(tmp_path)).load()
    assert [len(getattr(data, part)) for part in PARTS] == [40, 2, 9]
    assert dict(data.notes)["repeated"] == (
        "1 of 2 validation rows is in training too, and is kept; --drop-repeats train or test "
        "leaves it out"
    )


def test_a_part_of_which_nothing_is_left_is_refused(tmp_path):
    texts(0, 40).to_csv(tmp_path / "train.csv", index=False)
    for name in ("valid", "test"):
        texts(100, 9).to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.raises(DataError, match=r"every validation text is in a later part too"):
        find_task(str(tmp_path)).load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.rename(columns={"a": "A"}),
            r"column 'a' of .*train.csv is not in .*valid.csv\n",
        ),
        (lambda f: f.drop(columns="b"), "column 'b' of .*train.csv is not in .*valid.csv"),
        (lambda f: f.drop(columns="label"), "no column 'label' in .*valid.csv: without labels"),
        (lambda f: f.assign(a="many"), "line 2 of .*valid.csv: the column 'a' holds numbers"),
        (lambda f: f.assign(a="2,5"), r"line 2 of .*valid.csv: .*'2,5' here\n.*--decimal ,"),
        (lambda f: f.assign(label="z"), "no training example of class 'z'"),
        (lambda f: f[:0], "no rows in .*valid.csv"),
    ],
)
def test_columns_that_do_not_agree_are_named_with_their_file(tmp_path, change, message):
    for name, frame in (("train", numbers(0, 40)), ("test", numbers(200, 11))):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    change(numbers(100, 9)).to_csv(tmp_path / "valid.csv", index=False)
    with pytest.raises(DataError, match=message):
        find_task(str(tmp_path)).load()


def test_columns_may_stand_in_another_order_and_others_beside_them(tmp_path):
    numbers(0, 40).to_csv(tmp_path / "train.csv", index=False)
    numbers(100, 9).to_csv(tmp_path / "valid.csv", index=False)
    test = numbers(200, 11)[["label", "b", "a"]].assign(extra="?")
    test.to_csv(tmp_path / "test.csv", index=False)
    data = find_task(str(tmp_path)).load()
    assert [value for value, _ in read_back(data, "test")] == list(range(200, 211))


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        ("train.csv", {"validation": "gone.csv"}, "no file .*gone.csv\n  it was given as --valid"),
        ("train.csv", {"test": "train.csv"}, "is named for two parts: train and test"),
        ("train.csv", {"test": "x.csv", "validation": "x.csv"}, "two parts: validation and test"),
        ("", {"test": "x.csv"}, r"two tables are named for test: .*test.csv and .*x.csv"),
    ],
)
def test_files_that_are_named_wrongly_are_one_sentence(tmp_path, train, options, message):
    for name in ("train", "test", "x"):
        numbers(0, 40).to_csv(tmp_path / f"{name}.csv", index=False)
    places = {part: str(tmp_path / name) for part, name in options.items()}
    with pytest.raises(DataError, match=message):
        find_task(str(tmp_path / train), data_options=DataOptions(**places))


def test_a_part_that_has_changed_is_read_anew(tmp_path):
    numbers(0, 40).to_csv(tmp_path / "a.csv", index=False)
    numbers(100, 9).to_csv(tmp_path / "b.csv", index=False)
    options = DataOptions(test=tmp_path / "b.csv")
    task = find_task(str(tmp_path / "a.csv"), data_options=options)
    assert len(task.load().test) == 9
    numbers(100, 12).to_csv(tmp_path / "b.csv", index=False)
    assert len(task.load().test) == 12


@pytest.mark.parametrize(
    ("name", "part"),
    [("training_1", "train"), ("dev-a", "validation"), ("VALID", "validation"), ("tests", "test")],
)
def test_names_say_the_part_and_words_that_begin_alike_do_not(tmp_path, name, part):
    for other in ("train", "validation", "test"):
        if other != part:
            numbers(0, 40).to_csv(tmp_path / f"{other}.csv", index=False)
    numbers(100, 9).to_csv(tmp_path / f"{name}.csv", index=False)
    for other in ("values", "trainers", "testimonials", "devices", "allergies"):
        numbers(500, 50).to_csv(tmp_path / f"{other}.csv", index=False)
    data = find_task(str(tmp_path)).load()
    assert {p: len(getattr(data, p)) for p in PARTS} == dict.fromkeys(PARTS, 40) | {part: 9}


def test_too_few_different_rows_for_three_parts_are_said(tmp_path):
    frame = pandas.DataFrame({"a": [1, 2] * 50, "b": [3, 4] * 50, "label": ["x", "y"] * 50})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"the 100 rows of .* hold 2 different inputs[\s\S]*--test"):
        find_task(str(tmp_path / "t.csv")).load()


def test_pairs_that_share_a_text_and_texts_beside_numbers_are_in_one_part():
    assert group_names([("a\tb", "1"), ("c\tb", "0"), ("d\te", "1")], 2) == ["a", "a", "d"]
    assert group_names([("a\t1", "1"), ("a\t2", "0")], 1) == ["a", "a"]
    assert group_names([("a\t1", "1"), ("a\t2", "0")], 0) == ["a\t1", "a\t2"]
    assert group_names([("a\tb\tc", "1")], 3) == ["a\tb\tc"]
