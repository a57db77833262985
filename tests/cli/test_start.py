"""Runs that begin from the weights of another, on the command line."""

import json
import shutil
from pathlib import Path

import pytest

from dropsmith.compare import running
from dropsmith.train import WEIGHTS
from dropsmith.workers import Done


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Runs are made in this process."""

    def spread(work, jobs, processes):
        for index, job in enumerate(jobs):
            yield Done(index, work(job, lambda share: None))

    monkeypatch.setattr(running, "spread", spread)


def trained(run, line):
    code, out, err = run(f"{line} --json")
    assert code == 0, err
    return json.loads(out)


def test_a_run_is_trained_on_and_predicted_with(run):
    first = trained(run, "train digits --budget tiny")
    line = f"digits --budget tiny --with r-drop --start runs/digits/{first['id']}"
    second = trained(run, f"train {line}")
    assert second["environment"]["start"]["record"] == first["id"]
    assert second["curve"][0]["validation_nll"] == first["scores"]["validation_nll"]
    before = sorted(Path("runs/digits").glob("*.json"))
    found = trained(run, f"predict {line} --samples 2")
    assert found["one_pass_without_noise"]["accuracy"] == second["scores"]["test_accuracy"]
    assert sorted(Path("runs/digits").glob("*.json")) == before


def test_mistakes_end_in_a_sentence_before_anything_is_run(run):
    first = trained(run, "train digits --budget tiny --with none")
    shutil.copy(Path("runs/digits") / first["id"] / WEIGHTS, "digits.safetensors")
    for line, says in (
        ("digits --start runs", "no weights to begin from in runs"),
        ("python-docs --budget tiny --start digits.safetensors", "are of another model"),
        (
            "penn-treebank/awd-lstm-finetuned",
            "first: dropsmith train penn-treebank/awd-lstm --data",
        ),
        ("penn-treebank/awd-lstm --start digits.safetensors", "begins from weights that are drawn"),
    ):
        code, _, err = run(f"train {line}")
        assert (code, says in err) == (2, True), err
    assert len(list(Path("runs").glob("*/*.json"))) == 1
