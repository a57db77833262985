"""A model made to be looked at is that of its seed, and nothing else is seeded."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compare.synthetic import TASK
from dropsmith.cli._model import load_trained_model, model_and_batch
from dropsmith.errors import DataError
from dropsmith.run_folder import WEIGHTS
from train.setups import digits


def test_the_model_hangs_on_the_seed_alone_and_torchs_generators_are_left(seeded_on_gpus):
    before = torch.get_rng_state()
    first, again, other = (
        torch.cat([one.flatten() for one in model_and_batch(TASK, None, seed)[0].parameters()])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded_on_gpus == []


def test_weights_that_are_not_the_models_are_named_with_their_file(tmp_path: Path):
    with pytest.raises(DataError, match="this run has a record, but no weights"):
        load_trained_model(digits(), tmp_path)
    save_file({"layer.weight": torch.ones(1)}, tmp_path / WEIGHTS)
    with pytest.raises(DataError, match=rf"{WEIGHTS} are of another model[\s\S]*layer.weight"):
        load_trained_model(digits(), tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"half a file")
    with pytest.raises(DataError, match=rf"cannot read weights from .*{WEIGHTS}"):
        load_trained_model(digits(), tmp_path)
