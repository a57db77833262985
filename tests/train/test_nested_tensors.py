"""What a model hands to the next window, as tensors and a structure in plain JSON."""

import collections
import json
import random
from typing import Any, NamedTuple

import pytest
import torch

from dropsmith.errors import CheckpointError
from dropsmith.train.nested_tensors import DEEPEST, flatten, pack, unpack
from faults.mutate import mutate_json

STATE = {
    "state": (torch.ones(2), [torch.zeros(1), {"a": torch.ones(1), "none": None}], (), {}),
    "x": torch.ones(3),
    "position": 7,
    "scale": 0.5,
    "on": True,
    "name": "a",
}


class Pair(NamedTuple):
    h: Any
    c: Any


def test_what_is_carried_comes_back_in_the_same_tuples_lists_and_dicts():
    tensors, structure = pack(STATE)
    again = unpack(tensors, json.loads(json.dumps(structure)))
    assert repr(again) == repr(STATE)
    assert isinstance(again["state"], tuple)
    assert isinstance(again["state"][1], list)
    assert unpack(*pack({})) == {}


def test_named_tensors_are_flat_and_what_is_no_tensor_is_left_out():
    assert flatten(STATE).keys() == {"state/0", "state/1", "state/2", "x"}


def deep(levels: int) -> Any:
    value: Any = torch.ones(1)
    for _ in range(levels):
        value = (value,)
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Pair(torch.ones(1), torch.ones(1)), "state is of <class '.*Pair'>"),
        (collections.OrderedDict(a=torch.ones(1)), "OrderedDict"),
        (collections.defaultdict(list), "defaultdict"),
        ({"inner": [torch.ones(1), object()]}, r"state.inner.1 is of <class 'object'>"),
        ({1: torch.ones(1)}, r"state has a key that is not text: 1"),
        ({torch.float32}, "state is of <class 'set'>"),
        (deep(DEEPEST), r"state\S* is more than 50 levels deep"),
    ],
)
def test_what_the_structure_cannot_say_is_refused_on_saving(value: Any, says: str):
    with pytest.raises(CheckpointError, match=says):
        pack({"state": value})


def test_the_deepest_state_that_is_kept_is_read():
    assert repr(unpack(*pack({"state": deep(DEEPEST - 1)}))) == repr({"state": deep(DEEPEST - 1)})


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        ({"dict": {"a": {"tensor": 0}, "b": {"tensor": 0}}}, "field b names no tensor of its own"),
        ({"dict": {"a": {"tensor": 1}}}, "field a names no tensor of its own: 1"),
        ({"dict": {"a": {"tensor": False}}}, "field a names no tensor of its own: False"),
        ({"dict": {"a": {"tensor": "0"}}}, "field a names no tensor of its own: '0'"),
        ({"dict": {}}, "tensor 0 is not in the structure"),
        ({"dict": {"a": {"tuple": {"tensor": 0}}}}, "field a should be 'tuple', but is"),
        ({"dict": {"a": [{"tensor": 0}]}}, "field a should be one of 'tensor', 'value'"),
        ({"dict": {"a": {"class": "os.system"}}}, "field a should be one of"),
        ({"dict": {"a": {"value": []}}}, "field a should be 'value', but is"),
        ({"tensor": 0}, "the whole should be a dict"),
        ([1, {"type": "builtins.dict"}], "the whole should be one of"),
    ],
)
def test_a_structure_that_is_none_is_refused_by_its_field(structure: Any, says: str):
    with pytest.raises(CheckpointError, match=says):
        unpack({"0": torch.ones(1)}, structure)


def test_a_structure_broken_at_random_is_read_or_refused_in_words():
    tensors, structure = pack(STATE)
    refused = longest = 0
    for seed in range(2000):
        broken = mutate_json(structure, random.Random(seed))
        try:
            unpack(tensors, broken)
        except CheckpointError as error:
            refused += 1
            longest = max(longest, len(str(error)))
    assert refused > 1500
    assert longest < 1000
