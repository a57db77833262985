"""The first runs of the documents, in a fresh environment: from data to predictions."""

import csv
import re
import shlex
import shutil

import pytest
import torch
from filelock import FileLock
from PIL import Image

import dropsmith as ds
from dropsmith.cli import main
from examples.fresh_environment import Environment

pytestmark = pytest.mark.slow

FAST = (
    "--with dropout,gaussian --trials 1 --rates 0.2 --seeds 3 --samples 8 --folder . --processes 1"
)
RUNS = {
    "texts": "--limit 140 --budget 5 --learning-rate 0.004 --batch-size 32 --text-length 12",
    "images": "--limit 120 --budget 8 --learning-rate 0.004",
    "numbers": "--budget 6",
}
NEW = 20


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """The folder of the environment and its runs, made once for all processes of the tests."""
    pytest.importorskip("hatchling", reason="needs the extra dev")
    root = tmp_path_factory.getbasetemp()
    root = root.parent if root.name.startswith("popen-") else root
    with FileLock(root / "first-runs.lock"):
        folder = root / "first-runs"
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            environment = Environment.make(folder)
            runs = [
                (kind, "own_data", [kind, *FAST.split(), *options.split()])
                for kind, options in RUNS.items()
            ]
            environment.run_examples(runs, folder)
            (folder / "done").touch()
    return folder


class Run:
    """What the script left of one kind of data."""

    def __init__(self, folder):
        self.folder = folder
        self.output = (folder / "output.txt").read_text()
        self.words = " ".join(self.output.split())
        assert "Traceback" not in self.output, self.output
        (predictions,) = folder.glob("*_predictions.csv")
        with predictions.open(newline="") as file:
            self.rows = list(csv.DictReader(file))

    @property
    def answer(self):
        """The command that the answer types."""
        (line,) = re.findall(r"^  (dropsmith train .*)$", self.output, re.MULTILINE)
        return shlex.split(line)

    @property
    def model(self):
        """The folder that the output names."""
        (name,) = re.findall(r"^The folder with its model: (.*)$", self.output, re.MULTILINE)
        return self.folder / name

    def numbers(self, name):
        return [float(row[name]) for row in self.rows]

    def check_table(self, *words):
        """The table has a row for each method and for the constant predictor, with its scores."""
        for word in (*words, "dropout", "gaussian", "always the"):
            assert word in self.words

    def check_answer(self, monkeypatch, capsys):
        """The answer's command finds the run, and says how new examples are predicted."""
        monkeypatch.chdir(self.folder)
        with pytest.raises(SystemExit) as end:
            main(self.answer[1:])
        printed = capsys.readouterr()
        assert not end.value.code, printed.err
        assert "the run was read from disk" in printed.err
        predict = f"dropsmith predict {self.model.relative_to(self.folder)}"
        assert predict in printed.out
        assert predict in self.words

    def load_elsewhere(self, folder, data):
        """The model read back from another folder, its data gone."""
        model = ds.load(shutil.move(self.model, folder / "model"))
        place = self.folder / data
        assert place.exists()
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        return model

    def check_predictions(self, names):
        """There is one row an example, in order; its numbers say what they should."""
        assert len(self.rows) == NEW
        heads = ["prediction", *(f"probability_{name}" for name in names)]
        assert list(self.rows[0]) == ["id", *heads, "entropy", "mutual_information"]
        for row in self.rows:
            chances = torch.tensor([float(row[f"probability_{name}"]) for name in names])
            assert float(chances.sum()) == pytest.approx(1, abs=1e-5)
            assert row["prediction"] == names[int(chances.argmax())]
            entropy = float(torch.special.entr(chances).sum())
            assert float(row["entropy"]) == pytest.approx(entropy, abs=1e-4)
            assert 0 <= float(row["mutual_information"]) <= entropy + 1e-4
        assert max(float(row["mutual_information"]) for row in self.rows) > 1e-4


@pytest.fixture
def run(place, tmp_path):
    """Copies of what the script left, which a test may change."""
    return lambda kind: Run(shutil.copytree(place / kind, tmp_path / kind))


def test_a_table_of_texts_gives_an_answer_a_model_and_predictions(
    run, place, tmp_path, monkeypatch, capsys
):
    texts = run("texts")
    texts.check_table("accuracy", "test NLL", "commonest class")
    texts.check_answer(monkeypatch, capsys)
    names = (
        "argparse",
        "asyncio.events",
        "decimal",
        "http.client",
        "logging",
        "pathlib",
        "tarfile",
    )
    texts.check_predictions(names)
    assert [row["id"] for row in texts.rows] == [f"s{number}" for number in range(NEW)]
    model = texts.load_elsewhere(tmp_path, "sentences.csv")
    table = model.predict(texts.folder / "new_sentences.csv", samples=8).to_table()
    assert table["prediction"] == [row["prediction"] for row in texts.rows]


def test_the_command_that_is_installed_predicts_the_same(run, place, tmp_path):
    texts = run("texts")
    command = ["dropsmith", "predict", str(texts.model), "new_sentences.csv", "--samples", "8"]
    printed = Environment(place).run(command, texts.folder)
    assert list(csv.DictReader(printed.splitlines())) == texts.rows


def test_a_folder_of_images_gives_an_answer_a_model_and_predictions(
    run, tmp_path, monkeypatch, capsys
):
    images = run("images")
    images.check_table("accuracy", "test NLL", "commonest class")
    assert "8 × 8 pixels (height × width), as they are" in images.words
    images.check_answer(monkeypatch, capsys)
    images.check_predictions(tuple("0123456789"))
    new = images.folder / "new_digit_images"
    assert [row["id"] for row in images.rows] == sorted(path.name for path in new.iterdir())
    model = images.load_elsewhere(tmp_path, "digit_images")
    (first,) = model.predict(new / images.rows[0]["id"], samples=0).to_table()["id"]
    assert first == images.rows[0]["id"]


def test_a_table_of_numbers_gives_an_answer_a_model_and_predictions(
    run, tmp_path, monkeypatch, capsys
):
    numbers = run("numbers")
    numbers.check_table("RMSE", "test R²", "always the mean")
    numbers.check_answer(monkeypatch, capsys)
    assert list(numbers.rows[0]) == ["id", "prediction", "standard_deviation"]
    assert [row["id"] for row in numbers.rows] == [f"p{number}" for number in range(NEW)]
    assert all(25 < float(row["prediction"]) < 346 for row in numbers.rows)
    assert all(0 < float(row["standard_deviation"]) < 100 for row in numbers.rows)
    model = numbers.load_elsewhere(tmp_path, "diabetes.csv")
    prediction = model.predict(numbers.folder / "new_diabetes.csv", samples=8)
    values = [float(row["prediction"]) for row in numbers.rows]
    assert prediction.mean.flatten().tolist() == pytest.approx(values, rel=1e-5)


def test_r_drop_in_a_trainer_draws_the_terms_of_its_loss(place, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra transformers")
    settings = "--epochs 2 --limit 48 --width 16 --layers 1 --log-every 1 --curve r_drop.png"
    runs = [("trainer", "with_trainer", settings.split())]
    Environment(place).run_examples(runs, tmp_path, "transformers")
    output = (tmp_path / "trainer" / "output.txt").read_text()
    assert "Traceback" not in output, output
    terms = re.findall(r"'terms/task': '([\d.e-]+)', 'terms/consistency': '([\d.e-]+)'", output)
    assert len(terms) == 4
    assert all(float(task) > 0 and float(consistency) > 0 for task, consistency in terms)
    assert re.search(r"validation accuracy [\d.]+%", output)
    with Image.open(tmp_path / "trainer" / "r_drop.png") as picture:
        assert picture.size == (900, 750)
        assert sum(count > 0 for count in picture.convert("L").histogram()) > 20
