"""Snapshots in a file: exact, of no other sampler, and never code."""

from pathlib import Path

import pytest
import torch

from dropsmith.errors import SearchError
from dropsmith.pattern_search import (
    SAMPLERS,
    Choice,
    ListedSpace,
    RandomSampler,
    State,
    load_state,
    save_state,
)

SPACE = ListedSpace((Choice("a", (1, 2)),), ())
STATE: State = {
    "weights": torch.tensor([0.1, -2.5e-38, float("inf")]),
    "many": torch.arange(6).view(2, 3).T,
    "score": 0.1 + 0.2,
    "trials": [[[0, 1], 1e300], [[1, 0], -5e-324]],
    "none": None,
}


def test_what_is_read_is_what_was_written_bit_for_bit(tmp_path: Path):
    save_state(STATE, tmp_path / "state")
    again = load_state(tmp_path / "state")
    assert again.keys() == STATE.keys()
    for name, own in STATE.items():
        assert torch.equal(own, again[name]) if torch.is_tensor(own) else own == again[name]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_snapshot_without_tensors_is_one_too(tmp_path: Path):
    save_state({"score": 1}, tmp_path / "state")
    assert load_state(tmp_path / "state") == {"score": 1}


@pytest.mark.parametrize("content", [b"", b"no snapshot", b"\x80\x04}."], ids=repr)
def test_a_file_of_something_else_is_refused_by_its_name(tmp_path: Path, content: bytes):
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(SearchError, match=r"cannot read[\s\S]*state"):
        load_state(path)
    with pytest.raises(SearchError, match="cannot read"):
        load_state(tmp_path / "missing")


def test_a_snapshot_of_another_sampler_or_space_says_what_differs():
    state = RandomSampler(SPACE).state()
    with pytest.raises(SearchError, match=r"its sampler: 'random'\s+here it is: 'tpe'"):
        SAMPLERS["tpe"](SPACE).restore(state)  # type: ignore[call-arg]
    other = ListedSpace((Choice("a", (1, 3)),), ())
    with pytest.raises(SearchError, match="its space"):
        RandomSampler(other).restore(state)
    with pytest.raises(SearchError, match="it has no 'sampler'"):
        RandomSampler(SPACE).restore({})


def test_samplers_are_listed_by_the_name_they_carry():
    assert {name: kind.name for name, kind in SAMPLERS.items()} == {
        name: name for name in ("controller", "random", "tpe", "evolution")
    }
