"""Weights in a file: those of the model, or one sentence that names the file and a tensor."""

import os
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dropsmith.errors import DataError
from dropsmith.run_folder import WEIGHTS, load_weights, read_weights
from faults.mutate import mutate_bytes


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def weights() -> dict[str, Tensor]:
    return {name: value + 1 for name, value in model().state_dict().items()}


def test_weights_in_a_file_become_the_models(tmp_path: Path):
    stored, net = weights(), model()
    save_file(stored, tmp_path / WEIGHTS)
    load_weights(net, tmp_path / WEIGHTS)
    for name, value in net.state_dict().items():
        assert torch.equal(value, stored[name])


def test_another_precision_is_taken_as_torch_converts_it(tmp_path: Path):
    net, stored = model(), {name: value.double() for name, value in weights().items()}
    stored["1.num_batches_tracked"] = torch.tensor(3, dtype=torch.int32)
    save_file(stored, tmp_path / WEIGHTS)
    load_weights(net, tmp_path / WEIGHTS)
    assert torch.equal(net.state_dict()["0.bias"], stored["0.bias"].float())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"0.weight": torch.ones(3, 2)}, r"another shape: 0.weight \(3, 2\) there, \(2, 3\) here"),
        ({"0.bias": torch.ones(2).long()}, "dtype: 0.bias torch.int64 there, torch.float32 here"),
        ({"0.bias": torch.ones(2).bool()}, "dtype: 0.bias torch.bool there, torch.float32 here"),
        ({"0.bias": torch.ones(2) + 1j}, "dtype: 0.bias torch.complex64 there"),
        ({"1.num_batches_tracked": torch.tensor(1.5)}, "dtype: 1.num_batches_tracked torch.float"),
        ({"0.scale": torch.ones(2)}, "only there: 0.scale"),
        ({"0.bias": None}, "not there: 0.bias"),
    ],
)
def test_weights_of_another_model_name_the_file_and_the_tensor(
    change: dict[str, Tensor | None], says: str, tmp_path: Path
):
    changed = {name: value for name, value in (weights() | change).items() if value is not None}
    save_file(changed, tmp_path / WEIGHTS)
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(DataError, match=rf"{WEIGHTS} are of another model\n  .*{says}"):
        load_weights(net, tmp_path / WEIGHTS)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_is_no_file_of_weights_is_refused_by_its_name(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, says in (
        ("folder", "it is not a regular file"),
        ("pipe", "it is not a regular file"),
        ("dangling", "No such file"),
        ("missing", "No such file"),
    ):
        with pytest.raises(DataError, match=rf"cannot read weights from .*{name}\n  {says}"):
            read_weights(tmp_path / name)


def test_files_broken_at_random_are_read_or_refused_in_words(tmp_path: Path):
    path, refused, net = tmp_path / WEIGHTS, 0, model()
    save_file(weights(), path)
    data = path.read_bytes()
    for seed in range(300):
        path.write_bytes(mutate_bytes(data, random.Random(seed)))
        try:
            load_weights(net, path)
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017 - and in no other case
            refused += 1
    assert refused > 150
