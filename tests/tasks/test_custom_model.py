import sys

import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.tasks import find_task, with_model

SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.flat, self.drop, self.head = nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, classes)
    def forward(self, x, scale=1.0):
        return self.head(self.drop(self.flat(x))) * scale

class Pair(nn.Module):
    def forward(self, left, right):
        return left

def make(data):
    return Net(data.classes)

def plain():
    return Net()

def both(data, other):
    return Net()

class Attends(Net):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    def forward(self, x):
        return super().forward(self.layer(x.flatten(0, -2).view(len(x), 8, 8)))

def number(data):
    return 3

def pair():
    return Pair()

def wider(data):
    from dropsmith.models import SmallConv
    return SmallConv(channels=1, size=8, classes=data.classes, widths=(8, 16))
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    (tmp_path / "ownmodels_of_test.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield "ownmodels_of_test"
    sys.modules.pop("ownmodels_of_test", None)


@pytest.fixture
def digits():
    return find_task("digits")


@pytest.mark.parametrize("name", ["make", "plain", "Net"])
def test_a_function_or_class_in_the_working_directory_makes_the_model(spec, digits, name):
    task = with_model(digits, f"{spec}:{name}", digits.load())
    data = task.load(limit=20)
    batch = data.train.rows(slice(0, 3))
    model = task.model(data)
    assert set(batch) == {"x", "labels"}
    assert float(task.loss(model(batch["x"]), batch).mean.count) == 3
    assert (task.name, task.budget) == (digits.name, digits.budget)


def test_noise_goes_where_the_model_has_dropout(spec, digits):
    task = with_model(digits, f"{spec}:make", digits.load())
    model, x = task.model(digits.load()), torch.ones(2, 1, 8, 8)
    with task.plan("dropout", 0.9).installed(model, x, seed=0):
        seen = []
        model.drop.register_forward_hook(lambda m, a, out: seen.append(out))
        model(x)
    assert seen[0].unique().tolist() == pytest.approx([0, 10])
    assert task.noises == ("dropout", "gaussian")


def test_a_model_of_the_tasks_own_class_has_noise_where_the_tasks_model_has_it(spec, digits):
    wider = with_model(digits, f"{spec}:wider", digits.load())
    assert (wider.noises, wider.paired_noise) == (digits.noises, digits.paired_noise)
    for noise in digits.noises:
        assert wider.plan(noise, 0.2) == digits.plan(noise, 0.2)
    assert wider.model(digits.load()).convs[0].out_channels == 8  # pyright: ignore


def test_looking_at_the_model_leaves_torchs_generator_and_the_search_path_alone(spec, digits):
    before, path = torch.get_rng_state(), list(sys.path)
    with_model(digits, f"{spec}:make", digits.load())
    assert torch.equal(torch.get_rng_state(), before)
    assert sys.path == path


@pytest.mark.parametrize(("name", "blocks"), [("Net", False), ("Attends", True)])
def test_blocks_of_an_own_model_are_found_by_running_it(spec, digits, name, blocks):
    state = torch.get_rng_state()
    assert with_model(digits, f"{spec}:{name}", digits.load()).blocks is blocks
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        (":", "name it as package.module:function"),
        (":mak", r"no function 'mak'[\s\S]*did you mean 'make'"),
        ("_gone:make", "cannot import 'ownmodels_of_test_gone'"),
        (":both", "needs data, other: it may take the data and nothing else"),
        (":number", "returned a int, not a torch.nn.Module"),
        (":pair", r"forward of Pair takes left, right[\s\S]*columns of this task are: image"),
    ],
)
def test_a_model_that_cannot_be_used_says_why(spec, digits, suffix, message):
    with pytest.raises(TaskError, match=message):
        with_model(digits, spec + suffix, digits.load())


def test_where_no_pretrained_model_fits_a_name_without_a_function_says_how_to_name_one(spec):
    task = find_task("python-docs")
    with pytest.raises(TaskError, match=r"name it as package\.module:function"):
        with_model(task, spec, task.load(None, 500))
