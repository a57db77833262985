"""A model of the user's own has another hash once its code or its shapes have changed."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from dropsmith.tasks import find_task, model_hash

CODE = """
from torch import nn
from hashed_parts import block, WIDTH

def net():
    return nn.Sequential(nn.Flatten(), block(), nn.Linear(WIDTH, 10))
"""
PARTS = """
from torch import nn
from hashed_activations import activation

WIDTH = 16

class Block(nn.Sequential):
    pass

def block():
    return Block(nn.Linear(64, WIDTH), activation())
"""
ACTIVATIONS = """
from torch import nn

def activation():
    return nn.ReLU()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model in two files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "hashed_net.py").write_text(CODE)
    (tmp_path / "hashed_parts.py").write_text(PARTS)
    (tmp_path / "hashed_activations.py").write_text(ACTIVATIONS)
    return tmp_path


@pytest.fixture(scope="module")
def data():
    return find_task("digits").load(None, 20)


def hash_now(data, spec="hashed_net:net"):
    for name in ("hashed_net", "hashed_parts", "hashed_activations"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return model_hash(spec, data)


def test_the_hash_is_the_same_each_time_and_draws_nothing(folder, data):
    before = torch.get_rng_state()
    assert hash_now(data) == hash_now(data)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("hashed_net.py", "nn.Linear(WIDTH, 10)", "nn.Linear(WIDTH, 10, bias=False)"),
        ("hashed_net.py", "nn.Flatten()", "nn.Flatten(), nn.Identity()"),
        ("hashed_parts.py", "WIDTH = 16", "WIDTH = 24"),
        ("hashed_parts.py", "activation())", "activation(), nn.Identity())"),
        ("hashed_activations.py", "nn.ReLU()", "nn.Tanh()"),
    ],
)
def test_a_change_of_the_code_or_of_what_it_uses_is_another_hash(folder, data, file, old, new):
    before = hash_now(data)
    (folder / file).write_text((folder / file).read_text().replace(old, new))
    assert hash_now(data) != before


def test_another_shape_from_the_same_code_is_another_hash(folder, data, monkeypatch):
    code = CODE.replace("def net():", "import os\ndef net():").replace(
        "nn.Linear(WIDTH, 10)", "nn.Linear(WIDTH, int(os.environ['HASHED_CLASSES']))"
    )
    (folder / "hashed_net.py").write_text(code)
    monkeypatch.setenv("HASHED_CLASSES", "10")
    before = hash_now(data)
    monkeypatch.setenv("HASHED_CLASSES", "11")
    assert hash_now(data) != before


def test_a_change_of_another_file_is_none(folder, data):
    before = hash_now(data)
    (folder / "other.py").write_text("x = 1\n")
    assert hash_now(data) == before


def test_a_model_of_a_library_is_known_by_its_shapes(data):
    assert model_hash("torch.nn:Flatten", data) == model_hash("torch.nn:Flatten", data)


def test_a_pretrained_folder_is_known_by_its_files(tmp_path, data):
    (tmp_path / "config.json").write_text("{}")
    before = model_hash(str(tmp_path), data)
    (tmp_path / "config.json").write_text('{"hidden_size": 4}')
    assert before is not None
    assert model_hash(str(tmp_path), data) != before


@pytest.mark.parametrize("spec", [None, "bert-base-cased"])
def test_a_tasks_own_model_and_one_of_the_hub_have_none(spec, data):
    assert model_hash(spec, data) is None
