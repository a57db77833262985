"""What is broken at random is broken, the same from the same seed."""

import json
import random
from typing import Any

import pytest

from faults.mutate import WRONG_VALUES, deep, mutate_bytes, mutate_json

VALUES: dict[str, Any] = {"id": "a", "rate": 0.5, "sites": [1, {"b": None}], "on": True}


@pytest.mark.parametrize("data", [b"", b"a", b"aa", json.dumps(VALUES).encode(), bytes(5000)])
def test_bytes_are_others_and_the_same_from_a_seed(data: bytes):
    for seed in range(300):
        mutated = mutate_bytes(data, random.Random(seed))
        assert mutated != data
        assert mutated == mutate_bytes(data, random.Random(seed))


@pytest.mark.parametrize("values", [VALUES, [], {}, 1, None, "a", [1, 1], *WRONG_VALUES])
def test_values_are_others_and_the_same_from_a_seed(values: Any):
    before = repr(values)
    for seed in range(100):
        mutated = mutate_json(values, random.Random(seed))
        assert repr(mutated) != before
        assert repr(mutated) == repr(mutate_json(values, random.Random(seed)))
    assert repr(values) == before


def test_every_kind_of_fault_comes_up():
    texts = [mutate_bytes(json.dumps(VALUES).encode(), random.Random(seed)) for seed in range(500)]
    assert any(len(text) < 20 for text in texts)
    assert any(len(text) > 80 for text in texts)
    others = [mutate_json(VALUES, random.Random(seed)) for seed in range(1500)]
    objects = [other for other in others if isinstance(other, dict)]
    assert any(not isinstance(other, dict) for other in others)
    for name, value in VALUES.items():
        assert any(name not in other for other in objects)
        kinds = {type(other[name]) for other in objects if name in other}
        assert kinds > {type(value), str, list, dict}
    assert any(key not in VALUES for other in objects for key in other)
    assert any(_depth(other) > 300 for other in others)


def test_mutated_values_are_json():
    for seed in range(300):
        mutated = mutate_json(VALUES, random.Random(seed))
        assert repr(json.loads(json.dumps(mutated))) == repr(mutated)


def test_deep_values_are_as_deep_as_said():
    assert _depth(deep(700)) == 700
    assert _depth(deep(700, key="a")) == 700


def _depth(values: Any) -> int:
    level, layer = -1, [values]
    while layer:
        level += 1
        inner = (
            v.values() if isinstance(v, dict) else v for v in layer if isinstance(v, dict | list)
        )
        layer = [value for values in inner for value in values]
    return level
