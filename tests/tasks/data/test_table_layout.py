"""What columns mean is found from their names and cells; what cannot be told is asked for."""

import csv
import random

import pytest

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import DataOptions, describe, find_task
from dropsmith.tasks.data.table_layout import find_layout

WORDS = [
    "the",
    "a",
    "film",
    "book",
    "was",
    "is",
    "good",
    "bad",
    "long",
    "short",
    "very",
    "not",
    "so",
    "and",
]


def sentence(draw):
    return " ".join(draw.choices(WORDS, k=8))


COLUMNS = {
    "text": sentence,
    "review": sentence,
    "Body": sentence,
    "body": sentence,
    "title": sentence,
    "sentence": sentence,
    "question": sentence,
    "notes": sentence,
    "more notes": sentence,
    "age": lambda draw: draw.randint(18, 90),
    "height": lambda draw: round(draw.gauss(170, 9), 1),
    "sex": lambda draw: draw.choice("mf"),
    "label": lambda draw: draw.choice(("good", "bad")),
    "Target": lambda draw: draw.randint(0, 2),
    "stars": lambda draw: draw.randint(1, 5),
    "price": lambda draw: round(draw.uniform(1, 99), 2),
    "cents": lambda draw: draw.randint(1, 9_999),
    "intent": lambda draw: draw.randint(0, 29),
    "colour": lambda draw: draw.choice(("red", "green", "blue")),
    "ticket": lambda draw: f"A{draw.randint(0, 10**9)}",
    "sentence1": sentence,
    "sentence2": sentence,
}


def table(tmp_path, names, rows=300, name="t.csv"):
    draw = random.Random(0)
    path = tmp_path / name
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for i in range(rows):
            writer.writerow([i if n == "userId" else COLUMNS[n](draw) for n in names])
    return path


def layout(tmp_path, names, **options):
    return find_layout(table(tmp_path, names), DataOptions(**options))


@pytest.mark.parametrize(
    ("names", "inputs", "columns", "label", "kind"),
    [
        (("text", "label"), "text", ("text",), "label", "classification"),
        (("stars", "review", "age"), "text", ("review",), "stars", "classification"),
        (("Body", "Target"), "text", ("Body",), "Target", "classification"),
        (("notes", "label"), "text", ("notes",), "label", "classification"),
        (("ticket", "label"), "text", ("ticket",), "label", "classification"),
        (
            ("sentence2", "label", "sentence1"),
            "text",
            ("sentence1", "sentence2"),
            "label",
            "classification",
        ),
        (("body", "text", "label"), "text", ("text",), "label", "classification"),
        (
            ("sentence", "question", "label"),
            "text",
            ("question", "sentence"),
            "label",
            "classification",
        ),
        (("age", "height", "label"), "numbers", ("age", "height"), "label", "classification"),
        (("sex", "height", "Target"), "numbers", ("sex", "height"), "Target", "classification"),
        (("age", "ticket", "label"), "numbers", ("age",), "label", "classification"),
        (("userId", "age", "sex", "label"), "numbers", ("age", "sex"), "label", "classification"),
    ],
)
def test_columns_are_known_by_names_and_cells(tmp_path, names, inputs, columns, label, kind):
    found = layout(tmp_path, names)
    assert (found.inputs, found.columns, found.label, found.kind) == (inputs, columns, label, kind)
    assert found.id_column == ("userId" if "userId" in names else None)
    assert {*found.columns, *found.unused, found.label, found.id_column or found.label} == {*names}


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("label", "classification"),
        ("stars", "classification"),
        ("colour", "classification"),
        ("price", "regression"),
        ("cents", "regression"),
        ("age", "regression"),
        ("height", "regression"),
    ],
)
def test_words_and_few_whole_numbers_are_classes_and_others_are_values(tmp_path, label, kind):
    assert layout(tmp_path, ("text", label), label_column=label).kind == kind


def test_whole_numbers_that_may_be_either_are_asked_for(tmp_path):
    with pytest.raises(DataError, match=r"from 0 to 29[\s\S]*--kind classification or --kind reg"):
        layout(tmp_path, ("text", "intent"), label_column="intent")
    assert layout(
        tmp_path, ("text", "intent"), label_column="intent", kind="classification"
    ).kind == ("classification")


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (
            ("text", "colour"),
            {},
            r"no column of .* label, labels[\s\S]*text, colour[\s\S]*--label-",
        ),
        (
            ("text", "stars", "Target"),
            {},
            "several columns .*Target, stars[\\s\\S]*--label-column T",
        ),
        (("notes", "more notes", "label"), {}, "--text-column notes --text-column 'more notes'"),
        (("review", "title", "label"), {}, "--text-column review --text-column title"),
        (("notes", "age", "sex", "label"), {}, r"--text-column notes\n.*--feature-columns age,sex"),
        (("text", "label"), {"text_columns": ("txt",)}, "no column 'txt'[\\s\\S]*mean 'text'"),
        (("text", "label"), {"label_column": "lable"}, "no column 'lable'[\\s\\S]*mean 'label'"),
        (("text", "label"), {"id_column": "id"}, "no column 'id' in"),
    ],
)
def test_what_cannot_be_told_is_asked_for_with_the_line_to_type(tmp_path, names, options, message):
    with pytest.raises(DataError, match=message):
        layout(tmp_path, names, **options)


def test_a_label_beside_other_usual_names_is_the_label(tmp_path):
    assert layout(tmp_path, ("text", "stars", "label")).label == "label"


def test_texts_and_numbers_are_read_together_where_both_are_named(tmp_path):
    path = table(tmp_path, ("notes", "age", "sex", "label"))
    with pytest.raises(DataError, match="both: --text-column notes --feature-columns age,sex"):
        find_layout(path, DataOptions())
    both = {"text_columns": ("notes",), "feature_columns": ("sex", "age")}
    found = find_layout(path, DataOptions(**both))
    assert (found.inputs, found.columns, found.numbers) == (
        "mixed",
        ("notes", "sex", "age"),
        ("age",),
    )
    assert find_layout(path, DataOptions(feature_columns=("sex", "age")), "text") == found
    found = find_layout(path, DataOptions(text_columns=("notes",)), "numbers")
    assert (found.texts, found.features) == (("notes",), ("age", "sex"))


def test_options_say_what_columns_mean(tmp_path):
    names = ("userId", "notes", "more notes", "age", "colour")
    found = layout(tmp_path, names, text_columns=("more notes", "notes"), label_column="colour")
    assert (found.columns, found.id_column, found.unused) == (
        ("more notes", "notes"),
        "userId",
        ("age",),
    )
    found = layout(tmp_path, names, feature_columns=("age",), label_column="colour")
    assert (found.inputs, found.columns) == ("numbers", ("age",))


def test_the_layout_is_found_anew_where_the_file_has_changed(tmp_path):
    path = table(tmp_path, ("text", "label"))
    assert find_layout(path, DataOptions()).columns == ("text",)
    table(tmp_path, ("review", "label"), rows=301)
    assert find_layout(path, DataOptions()).columns == ("review",)


def test_texts_with_values_are_a_regression_and_their_task_says_so(tmp_path):
    path = table(tmp_path, ("review", "price"))
    task = find_task(str(path), data_options=DataOptions(label_column="price"))
    data = task.load()
    assert (task.kind, data.classes, data.names) == ("regression", 0, ())
    with path.open() as file:
        prices = [float(row["price"]) for row in csv.DictReader(file)]
    values = [
        value
        for part in (data.train, data.validation, data.test)
        for value in (part.tensors()["labels"] * data.train.unit + data.mean).tolist()
    ]
    assert sorted(values) == pytest.approx(sorted(prices), abs=1e-3)
    assert task.model(data)(tokens=data.test.tensors()["tokens"][:2]).shape == (2, 1)


def test_rows_without_labels_are_left_out_and_counted(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"text number {i} {i % 7},{'' if i % 5 == 0 else 'ab'[i % 2]}" for i in range(100)]
    path.write_text("\n".join(["text,label", *rows]))
    data = find_task(str(path)).load()
    assert sum(map(len, (data.train, data.validation, data.test))) == 80
    assert ("left out", "20 rows without a label are left out") in data.notes
    assert data.names == ("a", "b")
    path.write_text("\n".join(["text,label", *(f"a b {i}," for i in range(9))]))
    with pytest.raises(DataError, match=r"no row of .* has a label in the column 'label'"):
        find_task(str(path))


def test_another_length_of_texts_is_other_data_even_where_no_text_is_that_long(tmp_path):
    path = table(tmp_path, ("text", "label"))
    usual, longer, shorter = (
        find_task(str(path), data_options=DataOptions(text_length=n)).load() for n in (64, 99, 3)
    )
    assert len({usual.sha256, longer.sha256, shorter.sha256}) == 3
    assert usual.sha256 == find_task(str(path)).load().sha256
    assert shorter.train.tensors()["tokens"].shape[1] == 3
    assert (
        "text length",
        "the first 3 words are kept; 100.0 % of the training texts are longer",
    ) in (shorter.notes)
    task = find_task(str(path), data_options=DataOptions(text_length=99))
    assert task.model(longer).position.weight.shape[0] == 99


def test_three_columns_of_texts_are_read_as_one(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        "\n".join(
            f'{{"a": "one{i % 9}", "b": "two", "c": "three{i}", "label": {i % 2}}}'
            for i in range(60)
        )
    )
    task = find_task(str(path), data_options=DataOptions(text_columns=("c", "a", "b")))
    data = task.load()
    row = data.train.tensors()["tokens"][0]
    words = [data.vocabulary[t] for t in row.tolist()]
    assert [word.rstrip("0123456789") for word in words] == ["three", "one", "two"]
    assert set(data.train.tensors()) == {"tokens", "labels"}


@pytest.mark.parametrize(
    "values",
    [
        {"text_columns": "text"},
        {"label_column": ""},
        {"decimal": "'"},
        {"decimal": "point"},
        {"kind": "class"},
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"encoding": "utf-9"},
        {"encoding": "base64"},
        {"image_size": 32},
        {"image_size": (0, 32)},
        {"image_size": (True, 32)},
        {"text_length": 0},
        {"text_length": 2.0},
        {"text_columns": ("a",), "label_column": "a"},
        {"feature_columns": ("a", "a")},
    ],
)
def test_an_option_that_means_nothing_is_one_sentence(values):
    with pytest.raises(TaskError):
        DataOptions(**values)


def test_a_task_that_does_not_take_an_option_says_which_it_takes():
    with pytest.raises(TaskError, match=r"digits does not take --text-column\n.*: --drop-repeats$"):
        find_task("digits", data_options=DataOptions(text_columns=("a",)))
    with pytest.raises(TaskError, match=r"cola does not take --image-size\n.*--text-column"):
        find_task("cola", data_options=DataOptions(image_size=(8, 8)))


@pytest.mark.slow
def test_the_columns_of_published_tables_are_found(data_dir):
    layouts = {
        "cola": (("sentence",), "label", "classification"),
        "wnli": (("sentence1", "sentence2"), "label", "classification"),
        "qnli": (("question", "sentence"), "label", "classification"),
        "stsb": (("sentence1", "sentence2"), "score", "regression"),
    }
    for name, expected in layouts.items():
        found = find_layout(data_dir / "nlu" / name, DataOptions())
        assert (found.columns, found.label, found.kind) == expected


def test_what_was_found_is_described_in_a_few_lines(tmp_path):
    path = table(tmp_path, ("userId", "review", "price", "age"))
    task = find_task(str(path), data_options=DataOptions(label_column="price"))
    lines = describe(task, task.load()).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        *("data", "columns", "values", "split", "to add", "text length")
    ]
    assert lines[4].endswith("--text-column review --feature-columns age")
    assert lines[1].split(maxsplit=1)[1] == (
        "text: review; label: price (numbers); id: userId; not used: age"
    )
    assert "mean" in lines[2]
    path = table(tmp_path, ("text", "colour"), name="c.csv")
    task = find_task(str(path), data_options=DataOptions(label_column="colour"))
    data = task.load()
    with path.open() as file:
        colours = {row["colour"] for row in csv.DictReader(file)}
    counts = data.train.tensors()["labels"].bincount().tolist()
    named = ", ".join(f"{n} {c}" for n, c in zip(sorted(colours), counts, strict=True))
    assert f"3, with training examples each: {named}" in describe(task, data)
