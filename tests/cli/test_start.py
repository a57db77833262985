"""Runs that begin from the weights of another, on the command line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compare.workers import spread_here
from dropsmith.compare import runs
from dropsmith.record import Record
from dropsmith.run_folder import WEIGHTS


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Runs are made in this process."""
    monkeypatch.setattr(runs, "spread", spread_here)


def trained(run, line):
    code, out, err = run(f"{line} --json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.slow
def test_a_run_is_trained_on_and_predicted_with(run):
    first = trained(run, "train digits --budget tiny")
    line = f"digits --budget tiny --with r-drop --start runs/digits/{first['id']}"
    second = trained(run, f"train {line}")
    assert second["environment"]["start"]["record"] == first["id"]
    assert second["curve"][0]["validation_nll"] == first["scores"]["validation_nll"]
    _, out, _ = run(f"train {line}")
    whose = f"started from the best weights of {first['id']} (digits with dropout, seed 0)."
    assert f"The run {whose}" in " ".join(out.split())
    run("report runs/digits")
    assert f"{second['id']} {whose}" in Path("runs/digits/report.html").read_text()
    before = sorted(Path("runs/digits").glob("*.json"))
    found = trained(run, f"predict {line} --samples 2")
    assert found["one_pass_without_noise"]["accuracy"] == second["scores"]["test_accuracy"]
    assert sorted(Path("runs/digits").glob("*.json")) == before


@pytest.mark.slow
def test_every_run_of_a_comparison_begins_from_the_weights_it_is_given(run):
    first = trained(run, "train digits --budget tiny --with none")
    given = f"--budget tiny --start runs/digits/{first['id']}"
    found = trained(run, f"compare digits --with none,r-drop --seeds 1 --trials 1 {given}")
    records = [
        Record.load(Path("runs/digits") / f"{m['records'][0]}.json") for m in found["methods"]
    ]
    begun = {record.curve[0]["validation_nll"] for record in records}
    assert begun == {first["scores"]["validation_nll"]}
    assert trained(run, f"train digits --with r-drop {given}")["id"] == records[-1].id
    html = Path("runs/digits/report.html").read_text()
    assert f"Every run started from the best weights of {first['id']}" in html
    assert f"--start runs/digits/{first['id']}</code>" in html


def test_a_comparison_from_the_weights_of_another_model_is_refused_before_anything_is_run(run):
    save_file({"weight": torch.ones(2)}, "other.safetensors")
    code, _, err = run("compare digits --with none --seeds 1 --start other.safetensors")
    assert (code, "are of another model" in err) == (2, True), err
    assert not list(Path("runs").glob("*/*.json"))


def test_mistakes_end_in_a_sentence_before_anything_is_run(run):
    first = trained(run, "train digits --budget tiny --with none")
    shutil.copy(Path("runs/digits") / first["id"] / WEIGHTS, "digits.safetensors")
    for line, says in (
        ("digits --start runs", "no start weights in runs"),
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
