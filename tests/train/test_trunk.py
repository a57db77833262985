"""A run whose views share their lower layers: the run of whole views, where noise is only above."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import dropsmith as ds
from dropsmith.errors import SiteError
from dropsmith.models import small_transformer
from dropsmith.objectives import RDrop
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import Budget
from dropsmith.train import Setup, train

ABOVE = ds.Plan(ds.rule("layers.1.*", ds.Bernoulli(rate=0.4)))


@pytest.fixture
def setup(tmp_path):
    """Nine steps of two views, on sixty short texts."""
    path = tmp_path / "texts.csv"
    rows = [f"it {'so ' * (i % 11)}{word},{word}" for i in range(40) for word in ("good", "bad")]
    path.write_text("text,label\n" + "\n".join(dict.fromkeys(rows)) + "\n")
    return Setup(
        task=str(path),
        method="any",
        plan=ABOVE,
        objective=RDrop(alpha=1.0, every=3),
        budget=Budget(epochs=4, batch_size=4, learning_rate=5e-3),
        seed=0,
    )


@pytest.fixture
def rows(monkeypatch):
    """How many rows each layer was given, in turns."""
    seen, forward = [], small_transformer._Layer.forward

    def counting(self, x, real):
        if self.training and torch.is_grad_enabled():  # without gradients a few rows are tried
            seen.append(len(x))
        return forward(self, x, real)

    monkeypatch.setattr(small_transformer._Layer, "forward", counting)
    return seen


def test_weights_are_those_of_whole_views_and_the_lower_layer_runs_once(setup, tmp_path, rows):
    whole = train(setup, tmp_path / "whole")
    assert max(rows[::2]) == 8
    rows.clear()
    shared = train(replace(setup, trunk="layers.1"), tmp_path / "shared")
    lower, upper = rows[::2], rows[1::2]
    assert max(lower) == 4
    # The term is due at every third step; the others are one view.
    due = [step % 3 == 0 for step in range(1, len(lower) + 1)]
    assert upper == [2 * count if two else count for count, two in zip(lower, due, strict=True)]
    mine, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("shared", "whole"))
    for name, weight in mine.items():
        if not name.endswith("key.bias"):  # softmax does not see it: its gradient is all rounding
            torch.testing.assert_close(weight, theirs[name], rtol=1e-3, atol=1e-5)
    assert shared.scores == pytest.approx(whole.scores, rel=1e-3)
    assert shared.cost["example_views"] == whole.cost["example_views"]
    assert shared.id != whole.id


def test_a_trunk_that_is_not_there_is_named(setup, tmp_path):
    with pytest.raises(SiteError, match=r"no module 'layer\.1'[\s\S]*layers\.1"):
        train(replace(setup, trunk="layer.1", objective=RDrop(alpha=1.0)), tmp_path)
