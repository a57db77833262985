"""Snapshots in a file: exact, of no other sampler, and never code."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from dropsmith.errors import SearchError
from dropsmith.pattern_search import (
    SAMPLERS,
    Choice,
    Controller,
    Learning,
    ListedSpace,
    Proposal,
    RandomSampler,
    Sampler,
    State,
    TrialResult,
    load_state,
    save_state,
)
from faults.mutate import mutate_bytes, mutate_json

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


WIDE = ListedSpace((Choice("a", (1, 2, 3)), Choice("b", (1, 2))), ())


def sampler(name: str) -> Sampler:
    if name == "controller":
        return Controller(WIDE, learning=Learning(width=4, heads=1, warmup=1))
    return SAMPLERS[name](WIDE)  # type: ignore[call-arg]


def state_after(name: str, trials: int = 3) -> State:
    made = sampler(name)
    for number in range(trials):
        made.tell(TrialResult(number, Proposal(made.ask(number).tokens), 0.5 * number))
    return made.state()


def go_on(name: str, state: State) -> None:
    made = sampler(name)
    made.restore(state)
    made.tell(TrialResult(3, made.ask(3), 0.25))
    WIDE.check(made.ask(4).tokens)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("random", {"trials": [[[0, 0]]]}, "field trials.0 should have 2 items, but has 1"),
        ("random", {"trials": [[[0, 9], 1.0]]}, "field trials.0: choice 'b' has no value 9"),
        ("random", {"trials": [["ab", 1.0]]}, "field trials.0 should be tokens, but is 'ab'"),
        ("random", {"trials": [[[0, 0], float("nan")]]}, "trials.0 holds a number that is not f"),
        ("tpe", {"trials": [[[0, 0], "1"]]}, "should be a valid number, but is '1'"),
        ("tpe", {"trials": None}, "field trials should be a valid list, but is None"),
        ("tpe", {"color": 1}, "field color is unknown"),
        ("controller", {"version": -1}, "field version should be greater than or equal to 0"),
        ("controller", {"average": float("inf")}, "field average should be finite"),
        ("controller", {"tried": [[0]]}, "field tried.0: 1 tokens for a space of 2"),
        (
            "controller",
            {"policy.start": torch.ones(3)},
            r"policy.start should be of shape \(4,\), but is of \(3,\)",
        ),
        ("controller", {"policy.start": torch.ones(4).half()}, "but is of torch.float16"),
        ("controller", {"policy.other": torch.ones(4)}, "tensor policy.other is unknown"),
        ("controller", {"optimiser.0.step": torch.tensor(-1.0)}, "optimiser.0.step should be 0 or"),
        ("controller", {"optimiser.x.step": torch.tensor(1.0)}, "optimiser.x.step is unknown"),
        ("controller", {"policy.start": 3}, "field policy.start is unknown"),
    ],
)
def test_a_field_that_cannot_be_is_named_and_nothing_has_changed(
    name: str, change: State, says: str
):
    made, state = sampler(name), state_after(name)
    before = repr(made.state())
    with pytest.raises(SearchError, match=says):
        made.restore(state | change)
    assert repr(made.state()) == before


@pytest.mark.parametrize("key", ["policy.start", "optimiser.1.exp_avg", "memory"])
def test_what_is_missing_is_named(key: str):
    state = state_after("controller")
    del state[key]
    with pytest.raises(SearchError, match=f"{key} is missing"):
        sampler("controller").restore(state)


@pytest.mark.parametrize("name", ["random", "controller"])
def test_snapshots_broken_at_random_are_read_or_refused_in_words(name: str, tmp_path: Path):
    state, path, refused = state_after(name), tmp_path / "state", 0
    save_state(state, path)
    data = path.read_bytes()
    values = {key: value for key, value in state.items() if not torch.is_tensor(value)}
    tensors: dict[str, Any] = {key: v for key, v in state.items() if torch.is_tensor(v)}
    for seed in range(120):
        rng = random.Random(seed)
        try:
            if seed % 2:
                path.write_bytes(mutate_bytes(data, rng))
                go_on(name, load_state(path))
            else:
                broken = mutate_json(json.loads(json.dumps(values)), rng)
                go_on(name, broken | tensors if isinstance(broken, dict) else {})
        except SearchError:
            refused += 1
    assert refused > 50
