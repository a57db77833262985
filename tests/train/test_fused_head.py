"""A run whose head is fused with the loss is the run with a plain head, and its record says so."""

import importlib

import pytest
import torch
from safetensors.torch import load_file

from dropsmith.objectives import Fraternal, RDrop, TaskLoss
from dropsmith.plans.plan import Plan
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import Budget, find_task
from dropsmith.train import Setup, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A text of 15 words, 150 of them to train on."""
    where = tmp_path_factory.mktemp("text")
    generator = torch.Generator().manual_seed(0)
    for part, lines in (("train", 30), ("valid", 12), ("test", 12)):
        rows = torch.randint(0, 14, (lines, 5), generator=generator).tolist()
        text = "\n".join(" ".join(f"w{i}" for i in row) for row in rows)
        (where / f"ptb.{part}.txt").write_text(text + "\n")
    return where


def run(folder, into, objective, least, monkeypatch):
    monkeypatch.setattr(
        importlib.import_module("dropsmith.passes.fused_head"), "LEAST_CLASSES", least
    )
    plan: Plan = find_task("penn-treebank").plan("dropout", 0.3)
    setup = Setup(
        task="penn-treebank",
        method="any",
        plan=plan,
        objective=objective,
        budget=Budget(epochs=2, batch_size=3, learning_rate=2e-3),
        seed=0,
        data=str(folder),
    )
    return train(setup, into), load_file(into / WEIGHTS)


@pytest.mark.parametrize("objective", [Fraternal(kappa=0.1), RDrop(alpha=1.0, warmup=3)], ids=str)
def test_weights_and_scores_are_those_of_a_plain_head(tmp_path, folder, objective, monkeypatch):
    fused, mine = run(folder, tmp_path / "a", objective, 10, monkeypatch)
    plain, theirs = run(folder, tmp_path / "b", objective, 10**9, monkeypatch)
    assert fused.environment["fused_head"] == "head"
    assert "fused_head" not in plain.environment
    torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
    assert fused.scores == pytest.approx(plain.scores, rel=1e-4)


def test_plain_training_keeps_its_head(tmp_path, folder, monkeypatch):
    record, _ = run(folder, tmp_path / "a", TaskLoss(), 10, monkeypatch)
    assert "fused_head" not in record.environment
