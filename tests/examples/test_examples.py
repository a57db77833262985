"""The scripts in `examples/` run, with tiny settings, and print what they promise.

`own_data` runs in `test_first_runs.py`.
"""

import csv
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import dropsmith as ds

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
HERE = (
    "example_data",
    "find_dead_dropout",
    "find_wrong_labels",
    "fine_tune_bert_r_drop",
    "how_sure_is_it",
    "label_the_unsure",
    "own_data",
    "search_a_pattern",
    "serve_with_onnxruntime",
    "variational_lstm_language_model",
    "with_accelerate",
    "with_lightning",
    "with_peft",
    "with_seq2seq_trainer",
    "with_trainer",
    "with_trl",
    "with_two_processes",
)


def load(name: str) -> ModuleType:
    """An example as a module of its own, found by its path."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some examples take sentences and model from another, which stands in the same folder."""
    monkeypatch.syspath_prepend(EXAMPLES)


def printed(name: str, arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What an example prints when it is run with these arguments."""
    load(name).main(arguments.split())
    return capsys.readouterr().out


def numbers(pattern: str, text: str) -> list[float]:
    """The numbers that a regular expression captures, in order."""
    return [float(found) for found in re.findall(pattern, text)]


def test_every_example_is_run_here() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(HERE)


@pytest.mark.parametrize("name", HERE)
def test_an_example_begins_with_how_to_run_it(name: str) -> None:
    head = (EXAMPLES / f"{name}.py").read_text().split('"""')[1]
    assert f"python examples/{name}.py" in head


def test_bert_shows_its_noise_and_trains_on_the_term(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers", reason="needs the extra transformers")
    settings = "--epochs 1 --limit 70 --width 16 --layers 1 --batch-size 35 --alpha 5"
    text = printed("fine_tune_bert_r_drop", settings, capsys)
    assert re.search(r"layer\.0\.attention\.self\.attention\(\) +torch +yes", text)
    assert min(numbers(r"consistency (\d\.\d+)", text)) >= 0
    (share,) = numbers(r"test accuracy ([\d.]+)%", text)
    assert 0 <= share <= 100


def test_bert_reads_a_table_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra transformers")
    rows = [f"{'a good film' if i % 2 else 'a bad film'} number {i},{i % 2}" for i in range(60)]
    table = tmp_path / "reviews.csv"
    table.write_text("\n".join(["text,label", *rows]) + "\n")
    text = printed(
        "fine_tune_bert_r_drop", f"--data {table} --epochs 1 --width 16 --layers 1", capsys
    )
    assert "sentences of 2 kinds" in text


def test_a_server_without_torch_gives_the_numbers_of_predict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra export")
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    settings = "--limit 100 --epochs 2 --samples 5 --images 3"
    text = printed("serve_with_onnxruntime", settings, capsys)
    assert "mean, entropy, mutual_information" in text
    assert len(re.findall(r"^image \d: \d \(\d+%\), mutual information", text, re.MULTILINE)) == 3
    (difference,) = numbers(r"difference from dropsmith\.predict: (\S+)", text)
    assert difference < 1e-5


def test_the_language_model_has_noise_at_every_place_of_its_plan(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = "--limit 40 --width 16 --epochs 1 --held-out 1 --samples 3"
    text = printed("variational_lstm_language_model", settings, capsys)
    rows = re.findall(r"^(\S+) +keyed +(yes|NO)", text, re.MULTILINE)
    inside = [f"lstm.{name}_l{layer}" for name in ("input", "recurrent") for layer in range(2)]
    assert sorted(rows) == [(place, "yes") for place in ["embedding", "head.input", *inside]]
    each_epoch, plain, averaged = numbers(
        r"perplexity[\D]*?(?:\d+ samples averaged )?(\d+\.\d)", text
    )
    assert each_epoch == plain != averaged
    assert averaged > 1


def test_mistakes_gather_where_the_digits_model_is_unsure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed("how_sure_is_it", "--limit 200 --epochs 6 --samples 10 --show 2", capsys)
    (sure,) = numbers(r"surer half ([\d.]+)%", text)
    (unsure,) = numbers(r"among the other ([\d.]+)%", text)
    assert sure > unsure
    doubts = numbers(r"mutual information (\d\.\d+)", text)
    assert len(doubts) == 2
    assert doubts == sorted(doubts, reverse=True)


def test_dropout_that_is_never_called_is_found_and_that_of_fused_attention_is_not_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("transformers", reason="needs the extra transformers")
    text = printed("find_dead_dropout", "bert nystromformer --table", capsys)
    bert, nystromformer = text.split("nystromformer: ")
    assert "nothing else in its module drops" not in bert
    assert "encoder.layer.0.attention.self.dropout is never called, and nothing" in nystromformer
    assert "attention_probs_dropout_prob=0.1" in nystromformer


def test_data_of_three_kinds_is_written_with_new_examples(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    printed("example_data", str(tmp_path / "data"), capsys)
    for name, column, rows in (("sentences", "module", 900), ("diabetes", "progression", 422)):
        tables = []
        for table in (f"{name}.csv", f"new_{name}.csv"):
            with (tmp_path / "data" / table).open(encoding="utf-8") as file:
                tables.append(list(csv.DictReader(file)))
        known, new = tables
        assert len(known) >= rows
        assert len(new) == 20
        assert set(known[0]) - set(new[0]) == {column}
        assert not {row["id"] for row in known} & {row["id"] for row in new}
    images = tmp_path / "data" / "digit_images"
    assert sorted(folder.name for folder in images.iterdir()) == list("0123456789")
    assert len(list(images.rglob("*.png"))) == 1777
    assert len(list((tmp_path / "data" / "new_digit_images").iterdir())) == 20


def test_a_search_shows_its_best_plan_beside_no_dropout(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = f"--trials 2 --epochs 1 --limit 50 --seeds 2 --storage {tmp_path / 'study.db'}"
    text = printed("search_a_pattern", settings, capsys)
    (best,) = numbers(r"best validation log-likelihood (-\d\.\d+)", text)
    tested = numbers(r"test log-likelihood with [a-z ]+: (-\d\.\d+) ±", text)
    assert len(tested) == 2
    assert max(best, *tested) < 0
    assert "rule('" in text


SMALL = "--epochs 2 --limit 70 --width 16 --layers 1"
TRAINERS = {
    "with_trainer": ("transformers", r"task \d\.\d+, consistency|consistency \d\.\d+, task"),
    "with_lightning": ("lightning", r"task \d\.\d+, consistency|consistency \d\.\d+, task"),
    "with_accelerate": ("transformers", r"resumed at step \d+: weights equal"),
    "with_peft": ("peft", r"^\d+ of \d+ weights are trained"),
}


# What the trainers' libraries say of themselves and of each other.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*does not have many workers")
@pytest.mark.parametrize("data", [None, "sst2"])
@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_trains_on_the_term(
    name: str,
    data: str | None,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    library, promised = TRAINERS[name]
    pytest.importorskip(library, reason=f"needs the extra {library}")
    given = ""
    if data is not None:
        given = f" --data {request.getfixturevalue('data_dir') / 'nlu' / data}"
    text = printed(name, SMALL + given, capsys)
    assert re.search(promised, text, re.MULTILINE)
    (share,) = numbers(r"validation accuracy ([\d.]+)%", text)
    assert 0 <= share <= 100


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("data", [False, True])
def test_a_translator_is_smoothed_and_generates(
    data: bool, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers", reason="needs the extra transformers")
    given = ""
    if data:
        given = f" --data {request.getfixturevalue('data_dir') / 'multi30k' / 'raw'}"
    text = printed("with_seq2seq_trainer", f"--limit 80 --steps 2 --width 16{given}", capsys)
    assert re.search(r"60 pairs, the last batch: .*consistency \d\.\d+", text)
    assert "→" in text


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("data", [False, True])
def test_trl_logs_the_term(
    data: bool, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl", reason="needs the extra trl")
    given = ""
    if data:
        given = f" --data {request.getfixturevalue('data_dir') / 'wikitext2'}"
    text = printed("with_trl", f"--limit 40 --steps 2 --width 16{given}", capsys)
    assert len(numbers(r"consistency (\d\.\d+)", text)) == 2


def test_two_processes_that_share_a_model_train_on_the_term() -> None:
    script = str(EXAMPLES / "with_two_processes.py")
    settings = ["--sharded", "--limit", "100", "--epochs", "1"]
    text = subprocess.run(
        [sys.executable, script, *settings], capture_output=True, text=True, check=True
    ).stdout
    assert sorted(numbers(r"process (\d), its last batch: .*consistency", text)) == [0, 1]
    (share,) = numbers(r"test accuracy ([\d.]+)%", text)
    assert 0 <= share <= 100


def test_labels_are_asked_for_where_samples_disagree(capsys, tmp_path):
    out, picture = tmp_path / "curves.json", tmp_path / "curves.svg"
    line = f"--seeds 2 --rounds 2 --samples 10 --steps 60 --out {out} --picture {picture}"
    text = printed("label_the_unsure", line, capsys)
    curves = json.loads(out.read_text())
    assert curves["labels"] == [20, 30, 40]
    for way, runs in curves["accuracy"].items():
        assert way in text
        assert [len(run) for run in runs] == [3, 3]
        assert min(min(run) for run in runs) > 0.3  # a tenth would be chance
    firsts = {tuple(run[0] for run in runs) for runs in curves["accuracy"].values()}
    assert len(firsts) == 1  # all ways begin with the same labels
    assert "<svg" in picture.read_text()


def test_the_inputs_that_are_chosen_have_the_largest_mutual_information():
    example = load("label_the_unsure")
    images = torch.rand(40, 64)
    model = example.train((torch.rand(20, 64), torch.arange(20) % 10), 0, 20)
    chosen = example.choose("mutual information", model, images, 20, torch.Generator())
    information = ds.predict(model, images, samples=20).mutual_information
    left = [n for n in range(40) if n not in chosen.tolist()]
    assert information[chosen].min() >= information[left].max()


def test_wrong_labels_stand_first_in_the_list(capsys):
    text = printed("find_wrong_labels", "--seeds 1 --epochs 6 --samples 10", capsys)
    (count,) = numbers(r"^(\d+) wrong labels among 1797", text)
    for found in numbers(r"([\d.]+) wrong among the first", text):
        assert found > 0.7 * count  # of labels at random, one in twenty would be
    assert min(numbers(r"area ([\d.]+)", text)) > 0.95
