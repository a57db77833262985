import json

import pytest
import torch
from safetensors.torch import save_file

from dropsmith.errors import CheckpointError
from dropsmith.train.checkpoint import FILE, Checkpoint, Saving, write

IDENTITY = {"config": {"seed": 1, "sizes": (2, 3)}, "data_sha256": "ab"}


def checkpoint(step=3, **change):
    tensors = {"model/w": torch.arange(4.0).view(2, 2), "generator/cpu": torch.get_rng_state()}
    values = {"step": step, "best_nll": 0.1 + 0.2, "curve": [{"nll": float("inf")}]}
    return Checkpoint(**{"identity": IDENTITY, "values": values, "tensors": tensors} | change)


def test_what_is_loaded_is_what_was_saved_to_the_bit(tmp_path):
    saved = checkpoint()
    saved.save(tmp_path)
    loaded = Checkpoint.load(tmp_path, IDENTITY)
    assert loaded.values == saved.values
    assert loaded.tensors.keys() == saved.tensors.keys()
    for name, tensor in saved.tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpoint.load(tmp_path / "gone", IDENTITY) is None


def test_tied_and_strided_tensors_are_written_in_full(tmp_path):
    table = torch.arange(6.0).view(2, 3)
    write(tmp_path / "t.safetensors", {"a": table, "b": table, "c": table.T})
    from safetensors.torch import load_file

    loaded = load_file(tmp_path / "t.safetensors")
    assert torch.equal(loaded["a"], loaded["b"])
    assert torch.equal(loaded["c"], table.T)


def test_a_write_that_breaks_off_leaves_the_older_one_whole(tmp_path, monkeypatch):
    checkpoint(step=3).save(tmp_path)

    def breaks(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr("dropsmith.train.checkpoint.save_file", breaks)
    with pytest.raises(CheckpointError, match=r"cannot write[\s\S]*disk full"):
        checkpoint(step=4).save(tmp_path)
    assert Checkpoint.load(tmp_path, IDENTITY).values["step"] == 3


def test_who_reads_while_it_is_replaced_reads_the_older_one_whole(tmp_path):
    path = checkpoint(step=3).save(tmp_path)
    older = path.read_bytes()
    with path.open("rb", buffering=0) as reader:
        half = reader.read(20)
        checkpoint(step=4).save(tmp_path)
        assert half + reader.read() == older
    assert [one.name for one in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"config": {"seed": 2, "sizes": [2, 3]}, "data_sha256": "ab"}, "its config differ"),
        ({"config": IDENTITY["config"], "data_sha256": "cd"}, "its data_sha256 differ"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, other, message):
    checkpoint().save(tmp_path)
    with pytest.raises(CheckpointError, match=message + r"[\s\S]*resume=False"):
        Checkpoint.load(tmp_path, other)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match=r"cannot read[\s\S]*delete it"):
        Checkpoint.load(tmp_path, IDENTITY)
    save_file({"w": torch.ones(1)}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="is not a checkpoint of ours"):
        Checkpoint.load(tmp_path, IDENTITY)
    header = {"format": "dropsmith.checkpoint", "version": 99}
    save_file({"w": torch.ones(1)}, tmp_path / FILE, {"dropsmith": json.dumps(header)})
    with pytest.raises(CheckpointError, match="of version 99"):
        Checkpoint.load(tmp_path, IDENTITY)


def test_saving_goes_by_time_or_by_steps():
    assert not Saving().due(100, 19.9)
    assert Saving().due(100, 20.0)
    assert [Saving(steps=3).due(step, 1e9) for step in (1, 2, 3, 6)] == [False, False, True, True]
