"""`dropsmith predict RUN NEW`: a row for each new example, whole or not at all."""

import csv
import io
import json
import sys
from dataclasses import replace

import pytest
import torch

import dropsmith as ds
from dropsmith.run_folder import WEIGHTS
from run_folder.finished import finished_run, write_texts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run on texts, one on values, one without noise, and their tables."""
    place = tmp_path_factory.mktemp("predict new")
    place = place.rename(place.with_name("predict_new"))
    write_texts(place / "texts.csv")
    write_texts(place / "pairs.csv", pairs=True, values=True)
    texts, _ = finished_run(str(place / "texts.csv"))
    texts.write(place / "texts")
    replace(texts, plan=ds.Plan()).write(place / "silent")
    finished_run("stsb", data=place / "pairs.csv")[0].write(place / "values")
    return place


@pytest.fixture
def typed(monkeypatch):
    """Gives a text to standard input."""

    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def expected(folder, source, **options):
    return ds.load(folder).predict(source, **options).to_table()


def test_every_row_has_its_prediction_and_the_scores_are_printed(place, run, tmp_path):
    out = tmp_path / "predictions.csv"
    line = f"predict {place}/texts {place}/texts.csv --out {out} --samples 6 --seed 3"
    code, text, errors = run(line)
    assert (code, errors) == (0, "")
    assert "80 predictions" in text
    assert "one pass, noise off" in text
    assert "mean of 6 samples" in text
    rows, table = read(out), expected(place / "texts", place / "texts.csv", samples=6, seed=3)
    assert len(rows) == 80
    assert list(rows[0]) == list(table)
    for column, values in table.items():
        found = [row[column] for row in rows]
        if isinstance(values[0], float):
            assert list(map(float, found)) == pytest.approx(values, rel=1e-6)
        else:
            assert found == values


@pytest.mark.parametrize("tolerance", ["0.02", "0.05"])
def test_samples_are_drawn_until_the_tolerance_and_their_number_is_printed(
    place, run, tmp_path, tolerance
):
    out = tmp_path / "predictions.csv"
    line = f"predict {place}/texts {place}/texts.csv --samples auto --tolerance {tolerance}"
    code, text, errors = run(f"{line} --out {out}")
    assert (code, errors) == (0, "")
    predictor = ds.load(place / "texts")
    inputs = predictor.read(place / "texts.csv")
    parts = list(predictor.predictions(inputs, "auto", tolerance=float(tolerance)))
    counts = [part.samples for part in parts]
    assert counts[0] % 13 == 0
    words = str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    assert f"Samples drawn for each batch: {words}" in text
    assert f"mean of {words} samples" in text
    table = [entropy for part in parts for entropy in part.to_table()["entropy"]]
    assert [float(row["entropy"]) for row in read(out)] == pytest.approx(table, rel=1e-6)
    assert json.loads(run(f"{line} --out {out} --json")[1])["samples_by_batch"] == counts


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_holds_the_same_rows(place, run, tmp_path, suffix):
    import pandas

    out = tmp_path / f"predictions{suffix}"
    assert run(f"predict {place}/texts {place}/texts.csv --out {out} --samples 4")[0] == 0
    readers = {
        ".csv": pandas.read_csv,
        ".tsv": lambda path: pandas.read_csv(path, sep="\t"),
        ".jsonl": lambda path: pandas.read_json(path, lines=True),
        ".parquet": pandas.read_parquet,
    }
    frame = readers[suffix](out)
    table = expected(place / "texts", place / "texts.csv", samples=4)
    assert list(frame.columns) == list(table)
    for column, values in table.items():
        found = frame[column].tolist()
        if isinstance(values[0], float):
            assert found == pytest.approx(values, rel=1e-6)
        else:
            assert list(map(str, found)) == values


def test_json_lines_are_read_from_standard_input_and_rows_go_to_standard_output(place, run, typed):
    typed('{"text": "good film"}\n\n{"text": "so bad", "label": "dark"}\n')
    code, text, errors = run(f"predict {place}/texts - --samples 4")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert code == 0
    table = expected(place / "texts", [{"text": "good film"}, {"text": "so bad"}], samples=4)
    assert [row["prediction"] for row in rows] == table["prediction"]
    assert [row["id"] for row in rows] == ["1", "2"]
    assert "1 with a label" in errors
    typed('{"text": "good film"}\n{"text": "so bad"}\n')
    code, text, errors = run(f"predict {place}/texts - --samples 4 --json")
    assert [json.loads(line)["prediction"] for line in text.splitlines()] == table["prediction"]
    assert errors == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing to predict"),
        ("text\ngood", "line 1 of standard input is not JSON"),
        ("[1]", "line 1 of standard input is not a JSON object"),
        ('{"texts": "a"}', "no .*text"),
        ('{"text": "a", "label": "grey"}', "'grey'"),
    ],
)
def test_what_standard_input_lacks_is_one_sentence(place, run, typed, text, said):
    typed(text)
    code, out, errors = run(f"predict {place}/texts -")
    assert (code, out) == (2, "")
    assert errors.startswith("error: ")
    import re

    assert re.search(said, errors)


def test_values_have_a_deviation_in_their_own_unit(place, run, tmp_path):
    out = tmp_path / "values.csv"
    code, text, _ = run(f"predict {place}/values {place}/pairs.csv --out {out} --samples 5")
    assert code == 0
    assert "RMSE" in text
    assert "MAE" in text
    rows, table = read(out), expected(place / "values", place / "pairs.csv", samples=5)
    assert list(rows[0]) == ["id", "prediction", "standard_deviation"]
    for column in ("prediction", "standard_deviation"):
        found = [float(row[column]) for row in rows]
        assert found == pytest.approx(table[column], rel=1e-5)


def test_without_noise_one_line_says_what_is_not_known_and_its_column_is_empty(
    place, run, tmp_path
):
    out = tmp_path / "predictions.csv"
    code, text, errors = run(f"predict {place}/silent {place}/texts.csv --out {out}")
    assert code == 0
    assert len(errors.splitlines()) == 1
    assert "mutual information and deviations are not known" in errors
    assert "mean of" not in text
    rows = read(out)
    assert {row["mutual_information"] for row in rows} == {""}
    assert all(float(row["entropy"]) > 0 for row in rows)
    # One pass that was asked for needs no such line.
    assert run(f"predict {place}/texts {place}/texts.csv --out {out} --samples 0")[2] == ""


def test_a_machine_reads_the_scores(place, run, tmp_path):
    out = tmp_path / "p.csv"
    code, text, _ = run(f"predict {place}/texts {place}/texts.csv --out {out} --samples 3 --json")
    found = json.loads(text)
    assert code == 0
    assert found["rows"] == 80
    assert found["out"] == str(out)
    predictor = ds.load(place / "texts")
    inputs = predictor.read(place / "texts.csv")
    for name, samples in (("one_pass_without_noise", 0), ("mean_of_samples", 3)):
        scores = predictor.scores(predictor.predict(place / "texts.csv", samples), inputs)
        assert found["scores"][name] == pytest.approx(scores)


def test_a_column_names_the_rows(place, run, tmp_path):
    out = tmp_path / "p.csv"
    line = f"predict {place}/texts {place}/texts.csv --out {out} --samples 0 --id-column id"
    assert run(line)[0] == 0
    assert [row["id"] for row in read(out)] == [f"row{i}" for i in range(80)]


def test_the_new_file_may_have_another_delimiter_and_encoding(place, run, tmp_path):
    new, out = tmp_path / "new.csv", tmp_path / "p.csv"
    new.write_text("name;text\nä;good film\nö;so bad\n", encoding="cp1252")
    line = f"predict {place}/texts {new} --out {out} --samples 0 --delimiter ; --encoding cp1252"
    assert run(f"{line} --id-column name")[0] == 0
    assert [row["id"] for row in read(out)] == ["ä", "ö"]


def test_the_record_beside_the_folder_means_the_run(place, run, tmp_path):
    import shutil

    finished = ds.load(place / "texts")
    shutil.copytree(place / "texts", tmp_path / finished.record.id)
    record = finished.record.save(tmp_path)
    assert run(f"predict {record} {place}/texts.csv --samples 0")[0] == 0


REFUSED = [
    ("{0}/texts", "is a finished run, and its new examples are missing"),
    ("{0}/texts {0}/texts.csv --with r-drop", "--with is an option for training"),
    ("{0}/texts {0}/texts.csv --set rate=0.3", "--set is an option for training"),
    ("{0}/texts {0}/texts.csv --budget tiny", "--budget is an option for training"),
    ("{0}/texts {0}/texts.csv --limit 0", "--limit is an option for training"),
    ("{0}/texts {0}/texts.csv --again", "--again is an option for training"),
    ("{0}/texts {0}/texts.csv --label-column x", "--label-column is an option for training data"),
    ("{0}/texts {0}/texts.csv --out p.xls", "its name has no known extension"),
    ("{0}/texts {0}/texts.csv --out {0}/texts.csv", "would overwrite it"),
    ("{0}/texts {0}/texts.csv --samples 1", "one sample shows no spread"),
    ("{0}/texts {0}/nothing.csv", "nothing.csv"),
    ("{0}/texts {0}/pairs.csv", "no .*text"),
    ("{0}/texts {0}/texts.csv --model nobody_has_this:net", "cannot import"),
    ("{0} {0}/texts.csv", "the runs in there"),
    ("digits {0}/texts.csv", "digits is a task"),
    ("{0}/nothing {0}/texts.csv", "there is no folder"),
    ("digits --samples 1", "show no spread"),
    ("digits --samples many", "'many' is no number of samples"),
    ("digits --samples -1", "'-1' is no number of samples"),
    ("digits --samples 9 --tolerance 0.1", "says when --samples auto ends, and it is 9"),
    ("digits --samples auto --tolerance 0", "never reached"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_cannot_be_is_one_sentence_and_leaves_no_file(place, run, tmp_path, words, said):
    import re

    before = (place / "texts.csv").read_bytes()
    line = f"predict {words.format(place)}"
    out = tmp_path / "out.csv"
    code, text, errors = run(
        line if "--out" in line or "digits --" in line else f"{line} --out {out}"
    )
    assert (code, text) == (2, "")
    assert re.search(said, errors), errors
    assert 1 <= len(errors.splitlines()) <= 3
    assert not out.exists()
    assert (place / "texts.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name != "runs"] == []


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_fault_in_the_middle_leaves_the_older_file_as_it_was(
    place, run, tmp_path, monkeypatch, suffix
):
    from dropsmith.run_folder import Predictor

    out = tmp_path / f"p{suffix}"
    out.write_text("older")
    real = Predictor._samples

    def failing(self, batch, samples, tolerance, seed):
        if "later" in seen:
            raise OSError(28, "No space left on device")
        seen.append("later")
        return real(self, batch, samples, tolerance, seed)

    seen = []
    monkeypatch.setattr(Predictor, "_samples", failing)
    line = f"predict {place}/texts {place}/texts.csv --out {out} --samples 3 --batch-size 30"
    code, _, errors = run(line)
    assert code == 1
    assert "No space left" in errors
    assert out.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_batches_give_the_rows_of_the_whole(place, run, tmp_path):
    ends = []
    for size in (7, 80):
        out = tmp_path / f"{size}.csv"
        line = f"predict {place}/texts {place}/texts.csv --out {out} --samples 0"
        assert run(f"{line} --batch-size {size}")[0] == 0
        ends.append([(row["id"], round(float(row["probability_dark"]), 5)) for row in read(out)])
    assert ends[0] == ends[1]


def test_a_tab_or_a_line_in_a_name_breaks_no_table(place, run, tmp_path, typed):
    for suffix, split in ((".tsv", "\t"), (".csv", None)):
        typed(json.dumps({"text": "good film", "id": "a\tb\nc"}) + "\n")
        out = tmp_path / f"p{suffix}"
        line = f"predict {place}/texts - --out {out} --samples 0 --id-column id"
        assert run(line)[0] == 0
        if split:
            head, row = out.read_text().splitlines()
            assert len(row.split(split)) == len(head.split(split))
        else:
            assert read(out)[0]["id"] == "a\tb\nc"


def test_a_model_of_ones_own_is_made_where_it_is_named_and_nowhere_else(
    place, run, tmp_path, monkeypatch
):
    (tmp_path / "own_text_net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, words, classes):\n"
        "        super().__init__()\n"
        "        self.table = nn.EmbeddingBag(words, classes, padding_idx=0)\n"
        "    def forward(self, tokens):\n"
        "        return self.table(tokens)\n"
        "def net(data):\n"
        "    return Net(len(data.vocabulary), data.classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    own, _ = finished_run(str(place / "texts.csv"), model="own_text_net:net", plan=ds.Plan())
    own.write(tmp_path / "own")
    sys.modules.pop("own_text_net")
    code, _, errors = run(f"predict own {place}/texts.csv --samples 0")
    assert code == 2
    assert "--model own_text_net:net" in errors
    assert "own_text_net" not in sys.modules
    code, text, _ = run(f"predict own {place}/texts.csv --samples 0 --model own_text_net:net")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(text)))
    tokens = ds.load(tmp_path / "own", model=own.model).read(place / "texts.csv").part.columns
    probabilities = own.model.eval()(tokens["tokens"]).softmax(-1)
    found = torch.tensor([float(row["probability_dark"]) for row in rows])
    torch.testing.assert_close(found, probabilities[:, 1])
    sys.modules.pop("own_text_net")


def test_train_ends_with_the_command_that_predicts_new_rows(place, run, tmp_path):
    import shlex

    line = f"train {place}/texts.csv --with dropout --budget 1"
    code, text, _ = run(f"{line} --out {tmp_path}/my_runs")
    assert code == 0
    command = text.splitlines()[-1].strip()
    assert command.startswith("dropsmith predict ")
    words = shlex.split(command.removeprefix("dropsmith "))
    words[words.index("new.csv")] = str(place / "texts.csv")
    assert run(" ".join(words))[0] == 0
    assert len(read(tmp_path / "predictions.csv")) == 80
    folder = words[1]
    assert (tmp_path / "my_runs" / folder.split("/")[-1] / WEIGHTS).is_file()


def test_a_run_without_files_of_examples_says_how_python_loads_it(run, tmp_path):
    code, text, _ = run(f"train digits --budget 1 --limit 60 --out {tmp_path}/r")
    assert code == 0
    assert text.splitlines()[-1].startswith("To predict with it in Python: dropsmith.load(")


def test_rows_with_labels_have_a_page_beside_their_predictions(place, run, tmp_path):
    out = tmp_path / "predictions.csv"
    line = f"predict {place}/texts {place}/texts.csv --out {out} --samples 4"
    code, text, _ = run(line)
    assert code == 0
    page = tmp_path / "predictions.html"
    assert str(page) in text.replace("\n", "")
    content = page.read_text()
    assert "mean of 4 samples" in content
    # The texts themselves are shown, and not the model's tokens.
    assert sum(row["text"] in content for row in read(place / "texts.csv")) >= 8


def test_the_page_may_lie_elsewhere_and_is_refused_without_labels(place, run, tmp_path):
    page = tmp_path / "deep" / "page.html"
    page.parent.mkdir()
    code, _, _ = run(f"predict {place}/values {place}/pairs.csv --samples 3 --page {page} --json")
    assert code == 0
    assert "RMSE" in page.read_text()
    bare = tmp_path / "bare.csv"
    bare.write_text("id,text\n1,a good film\n")
    code, _, errors = run(f"predict {place}/texts {bare} --page {page}")
    assert code == 2
    assert "have none" in errors
    out = tmp_path / "bare_out.csv"
    assert run(f"predict {place}/texts {bare} --out {out}")[0] == 0
    assert not out.with_suffix(".html").exists()


def test_a_link_where_the_page_would_go_is_left_alone(place, run, tmp_path):
    out, other = tmp_path / "predictions.csv", tmp_path / "other.html"
    other.write_text("keep")
    out.with_suffix(".html").symlink_to(other)
    code, _, errors = run(f"predict {place}/texts {place}/texts.csv --out {out} --samples 3")
    assert code == 2
    assert "is a link" in errors
    assert other.read_text() == "keep"
    assert not out.exists()
