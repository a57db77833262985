"""Loading imports and runs nothing that a file names: the module that is named is watched."""

import json
from pathlib import Path
from typing import Any

import pytest

from dropsmith.errors import DropsmithError
from dropsmith.train.nested_tensors import unpack
from faults.canary import NAME, NAMES, Canary, assert_wakes, watched_imports


@pytest.fixture
def canary(tmp_path: Path):
    with watched_imports(tmp_path) as canary:
        yield canary


def test_the_watcher_sees_an_import_of_every_kind(canary: Canary):
    assert canary.seen == []
    assert_wakes(canary)


STRUCTURES = [
    [1, {"type": "collections.defaultdict", "context": context, "children_spec": []}]
    for name in NAMES
    for module in [name.partition(":")[0]]
    for context in [
        {"default_factory_module": module, "default_factory_name": "call", "dict_context": []}
    ]
] + [
    [1, {"type": "builtins.dict", "context": context, "children_spec": []}]
    for context in [json.dumps([{"__enum__": True, "fqn": f"{NAME}:call", "name": "a"}])]
]
"""Tree specifications of torch, in the two ways in which they name modules."""


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_structure_of_a_state_loads_nothing(structure: Any, canary: Canary):
    for values in (json.dumps(structure),):
        with pytest.raises(DropsmithError):
            unpack({}, values)
    assert canary.seen == []
