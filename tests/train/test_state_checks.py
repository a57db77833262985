"""A checkpoint that does not fit the model or the optimiser is refused by the name of a field."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dropsmith.errors import CheckpointError
from dropsmith.files import read_tensors
from dropsmith.train import checkpoint as checkpoint_file
from dropsmith.train.averaging import AveragedSGD
from dropsmith.train.checkpoint import FILE, Checkpoint
from dropsmith.train.state import State
from faults.mutate import mutate_bytes, mutate_json

OPTIMISERS = {
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.1, fused=True),
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.1),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True),
    "sgd": lambda weights: AveragedSGD(weights, lr=0.1),
    "averaged": lambda weights: AveragedSGD(weights, lr=0.1),
}


def state(kind: str = "adamw", *, start: bool = True) -> State:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = OPTIMISERS[kind](model.parameters())
    if kind == "averaged" and start:
        optimizer.start_averaging()
    return State(model, optimizer)


def take_step(run: State) -> None:
    run.model(torch.arange(12.0).view(4, 3)).square().sum().backward()
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.step += 1


def checkpoint(kind: str = "adamw") -> Checkpoint:
    run = state(kind)
    take_step(run)
    run.keep_best(0.5)
    run.curve, run.loss = [{"step": 1, "validation_nll": 0.5}], (0.5, 4.0)
    run.other_terms, run.window_state = {"agreement": (0.1, 2.0)}, {"state": (torch.ones(2), None)}
    return run.checkpoint({"config": {"seed": 1}})


def resume(broken: Checkpoint, kind: str = "adamw") -> State:
    run = state(kind, start=False)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    try:
        run.resume(broken)
    except CheckpointError:
        for name, value in run.model.state_dict().items():
            assert torch.equal(value, before[name])
        assert run.step == 0
        raise
    return run


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_a_checkpoint_of_each_optimiser_is_read(kind: str, tmp_path: Path):
    checkpoint(kind).save(tmp_path)
    loaded = Checkpoint.load(tmp_path, {"config": {"seed": 1}})
    assert loaded is not None
    take_step(resume(loaded, kind))
    fresh = state(kind)
    resume(fresh.checkpoint({}), kind)


def missing(name: str) -> Any:
    return lambda tensors: tensors.pop(name)


def other(name: str, tensor: Tensor) -> Any:
    return lambda tensors: tensors.update({name: tensor})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (missing("model/0.weight"), "tensor model/0.weight is missing"),
        (missing("best/1.running_mean"), "tensor best/1.running_mean is missing"),
        (missing("optimizer/0/exp_avg"), "tensor optimizer/0/exp_avg is missing"),
        (missing("generator/cpu"), "tensor generator/cpu is missing"),
        (missing("carried/0"), "field state.0 names no tensor"),
        (other("model/0.weight", torch.ones(2, 4)), r"model/0.weight should be of shape \(2, 3\)"),
        (other("model/0.weight", torch.ones(2, 3).half()), "of dtype torch.float32, but is of"),
        (other("best/1.running_mean", torch.ones(2).long()), "best/1.running_mean should be of d"),
        (other("model/other", torch.ones(1)), "tensor model/other is not one of the model's"),
        (other("optimizer/1/exp_avg", torch.ones(9)), "optimizer/1/exp_avg should be of shape"),
        (other("optimizer/0/step", torch.tensor(-1.0)), "optimizer/0/step should be 0 or more"),
        (other("optimizer/0/step", torch.tensor(math.nan)), "should be 0 or more, but is nan"),
        (other("optimizer/9/exp_avg", torch.ones(2)), "tensor optimizer/9/exp_avg is not one"),
        (other("optimizer/a/exp_avg", torch.ones(2)), "tensor optimizer/a/exp_avg is not one"),
        (other("generator/cpu", torch.zeros(4).byte()), "generator/cpu should be of shape"),
        (
            other("generator/cpu", torch.zeros(5056).byte()),
            "generator/cpu is no such state: ",
        ),
        (other("generator/os", torch.zeros(4).byte()), "belongs to no generator of torch"),
        (other("elsewhere", torch.ones(1)), "tensors that no run writes"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(change: Any, says: str):
    broken = checkpoint()
    change(broken.tensors)
    with pytest.raises(CheckpointError, match=rf"cannot resume from[\s\S]*{says}[\s\S]*the start"):
        resume(broken)


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ({"lr": "0.1"}, "groups.0.lr should be a number of 0 or more, but is '0.1'"),
        ({"lr": -0.1}, "groups.0.lr should be a number"),
        ({"lr": True}, "groups.0.lr should be a number"),
        ({"lr": math.nan}, "groups.0.lr should be a number of 0 or more, but is nan"),
        ({"betas": [0.9]}, r"groups.0.betas should be \(0.9, 0.999\), but is \[0.9\]"),
        ({"amsgrad": "yes"}, "groups.0.amsgrad should be False, but is 'yes'"),
        ({"differentiable": True}, "groups.0.differentiable should be False, but is True"),
        ({"params": [0, 1, 2]}, r"groups.0.params should be \[0, 1, 2, 3\]"),
        ({"color": 1}, "groups.0.color is unknown"),
    ],
)
def test_a_setting_of_the_optimiser_that_does_not_fit_is_named(group: dict[str, Any], says: str):
    broken = checkpoint()
    broken.values["groups"][0] |= group
    with pytest.raises(CheckpointError, match=says):
        resume(broken)


@pytest.mark.parametrize("count", [0.5, -1, "1", True])
def test_the_number_of_weights_in_a_mean_is_a_count(count: Any):
    broken = checkpoint("averaged")
    broken.values["groups"][0]["averaged"] = count
    with pytest.raises(CheckpointError, match="averaged should be a whole number of 0 or more"):
        resume(broken, "averaged")


def test_a_mean_that_is_said_to_have_begun_has_its_tensors():
    broken = checkpoint("averaged")
    del broken.tensors["optimizer/2/average"]
    with pytest.raises(CheckpointError, match="tensor optimizer/2/average is missing"):
        resume(broken, "averaged")


def test_the_number_of_groups_is_the_optimisers():
    broken = checkpoint()
    broken.values["groups"].append(broken.values["groups"][0])
    with pytest.raises(CheckpointError, match="groups should have 1 items, but has 2"):
        resume(broken)


def write_header(folder: Path, header: Any, tensors: dict[str, Tensor]) -> None:
    """A file whose hash is right, as one that a person wrote on purpose may have."""
    text = json.dumps(header)
    texts = {"dropsmith": text, "sha256": checkpoint_file._hash(text, tensors)}
    save_file(tensors, folder / FILE, texts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adamw", "averaged"])
def test_fields_broken_at_random_are_refused_in_words_or_a_run_goes_on(kind: str, tmp_path: Path):
    whole = checkpoint(kind)
    whole.save(tmp_path)
    tensors, texts = read_tensors(tmp_path / FILE)
    header, refused, random_numbers = json.loads(texts["dropsmith"]), 0, torch.get_rng_state()
    for seed in range(150):
        write_header(tmp_path, mutate_json(header, random.Random(seed)), tensors)
        try:
            loaded = Checkpoint.load(tmp_path, {"config": {"seed": 1}})
            assert loaded is not None
            take_step(resume(loaded, kind))
        except CheckpointError:
            refused += 1
    torch.set_rng_state(random_numbers)
    assert refused > 90


def test_tensors_swapped_at_random_are_refused_in_words_or_a_run_goes_on():
    whole, refused, rng = checkpoint(), 0, random.Random(0)
    others = [torch.ones(()), torch.ones(0), torch.ones(2, 3).bool(), torch.full((2, 3), math.inf)]
    for _ in range(400):
        tensors = dict(whole.tensors)
        name, second = rng.choice(list(tensors)), rng.choice(list(tensors))
        match rng.randrange(4):
            case 0:
                del tensors[name]
            case 1:
                tensors[name], tensors[second] = tensors[second], tensors[name]
            case 2:
                tensors[name] = rng.choice(others)
            case 3:
                tensors[name + "x"] = tensors.pop(name)
        try:
            take_step(resume(replace(whole, tensors=tensors)))
        except CheckpointError:
            refused += 1
    assert refused > 250


def test_bytes_broken_at_random_are_refused_in_words(tmp_path: Path):
    path = checkpoint().save(tmp_path)
    data, identity, read = path.read_bytes(), {"config": {"seed": 1}}, 0
    whole = Checkpoint.load(tmp_path, identity)
    assert whole is not None
    for seed in range(250):
        path.write_bytes(mutate_bytes(data, random.Random(seed)))
        try:
            loaded = Checkpoint.load(tmp_path, identity)
        except CheckpointError as error:
            assert str(path) in str(error)  # noqa: PT017 - and in no other case
        else:  # spaces in the header, say: what is read is what was written
            assert loaded is not None
            assert repr(loaded.values) == repr(whole.values)
            assert loaded.tensors.keys() == whole.tensors.keys()
            for name, tensor in loaded.tensors.items():
                assert tensor.numpy().tobytes() == whole.tensors[name].numpy().tobytes()
            read += 1
    assert read < 10
