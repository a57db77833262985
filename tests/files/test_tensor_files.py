"""Tensors in a file: exact, whole or not at all, and nothing of a file runs."""

import random
from pathlib import Path

import pytest
import torch

from dropsmith.errors import DataError
from dropsmith.files import read_tensors, tensor_files, write_tensors
from faults.mutate import mutate_bytes


def test_what_is_read_is_what_was_written(tmp_path: Path):
    table = torch.arange(6.0).view(2, 3)
    tensors = {"a": table, "tied": table, "turned": table.T, "half": table.bfloat16()}
    tensors |= {"none": torch.ones(0, 2), "scalar": torch.tensor(True), "z": table + 1j}
    write_tensors(tmp_path / "some", tensors, {"about": "a table"})
    again, texts = read_tensors(tmp_path / "some")
    assert texts == {"about": "a table"}
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype
        assert torch.equal(again[name], tensor)


def test_a_tensor_that_cannot_be_written_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "some"
    write_tensors(path, {"a": torch.ones(1)})
    before = path.read_bytes()
    with pytest.raises(DataError, match="tensor a cannot be written: it is sparse_coo"):
        write_tensors(path, {"a": torch.eye(2).to_sparse()})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["some"]


def test_a_disk_that_is_full_is_an_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object):
        raise tensor_files.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(tensor_files, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        write_tensors(tmp_path / "some", {"a": torch.ones(1)})
    assert list(tmp_path.iterdir()) == []


def test_files_broken_at_random_are_read_or_refused(tmp_path: Path):
    path, refused = tmp_path / "some", 0
    write_tensors(path, {"a": torch.ones(2, 3), "b": torch.ones(4).half()}, {"about": "a table"})
    data = path.read_bytes()
    for seed in range(500):
        path.write_bytes(mutate_bytes(data, random.Random(seed)))
        try:
            read_tensors(path)
        except DataError:
            refused += 1
    assert refused > 250


@pytest.mark.parametrize("dtype", ["F8_E5M2", "F4", "F8_E8M0", "U64", "I8", "Q4", "F6_E2M3"])
def test_a_dtype_that_torch_does_not_know_is_refused(dtype: str, tmp_path: Path):
    write_tensors(tmp_path / "some", {"a": torch.ones(24).byte()})
    data = (tmp_path / "some").read_bytes()
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    other = header.replace(b'"U8"', f'"{dtype}"'.encode())
    (tmp_path / "some").write_bytes(len(other).to_bytes(8, "little") + other + data[-24:])
    try:
        tensors, _ = read_tensors(tmp_path / "some")
    except DataError:
        return
    assert tensors["a"].numel() <= 24
