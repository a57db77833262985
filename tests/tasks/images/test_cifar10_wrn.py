from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dropsmith.objectives import TaskLoss
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import TASKS, Budget, Data, find_task
from dropsmith.tasks.images.augmentation import Crops, Flips
from dropsmith.tasks.images.cifar10_wrn import CIFAR10_WRN, CIFAR10_WRN_AUGMENTED, WideTask
from dropsmith.tasks.images.image_task import image_split
from dropsmith.train import Saving, Setup, task_and_data, train


def pictures(data=None, limit=None, bounds=None):
    generator = torch.Generator().manual_seed(0)
    parts = [
        image_split(torch.rand(n, 3, 16, 16, generator=generator), torch.arange(n) % 2)
        for n in (limit or 24, 6, 6)
    ]
    return Data.of(parts, names=("one", "other"), source="noise")


@pytest.fixture
def tiny(monkeypatch):
    task = WideTask(
        name="tiny",
        read=pictures,
        budget=Budget(epochs=2, batch_size=8, learning_rate=1e-3),
        depth=10,
        width=1,
        stride=2,
        augmentations=(Flips(), Crops(border=2)),
    )
    monkeypatch.setitem(TASKS, "tiny", task)
    return Setup(
        task="tiny",
        method="dropout",
        plan=task.plan("dropout", 0.2),
        objective=TaskLoss(),
        budget=task.budget,
        seed=0,
    )


class Stop(Exception):
    pass


def test_a_run_on_changed_images_resumes_to_the_bit(tiny, tmp_path):
    whole = train(tiny, tmp_path / "whole")

    def progress(share, /):
        if share >= 0.5:
            raise Stop

    with pytest.raises(Stop):
        train(tiny, tmp_path / "cut", progress=progress, saving=Saving(steps=1))
    resumed = train(tiny, tmp_path / "cut")
    ours, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "cut"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours | theirs)
    assert resumed.scores == whole.scores
    # Statistics of BatchNorm are weights like others.
    assert any("running_mean" in name for name in ours)


def test_training_images_are_changed_and_scored_ones_are_not(tiny):
    _, data = task_and_data(tiny)
    stored = data.train.tensors()["image"]
    step = data.train.batch(1, seed=0, batch_size=8).columns["image"]
    assert not any(torch.equal(one, old) for one in step for old in stored)
    assert torch.equal(
        next(iter(data.validation.batches(6))).columns["image"], data.validation.tensors()["image"]
    )


def test_changing_images_changes_no_hash_of_the_data():
    plain, changed = (
        replace(task, read=pictures, limit=24) for task in (CIFAR10_WRN, CIFAR10_WRN_AUGMENTED)
    )
    assert plain.load().sha256 == changed.load().sha256 == pictures().sha256
    first, second = (task.load().train.batch(1, seed=0, batch_size=6) for task in (plain, changed))
    assert torch.equal(first.columns["labels"], second.columns["labels"])
    assert not torch.equal(first.columns["image"], second.columns["image"])


@pytest.mark.slow
def test_without_a_limit_it_reads_five_thousand_images_as_many_of_each_class(data_dir):
    data = find_task("cifar10-wrn").load(data_dir / "cifar10")
    assert data.train.tensors()["labels"].bincount().tolist() == [500] * 10
    assert (len(data.validation), len(data.test)) == (2_000, 10_000)


@pytest.mark.slow
def test_a_few_steps_on_real_images_lower_the_loss(data_dir):
    task = find_task("cifar10-wrn")
    data = task.load(data_dir / "cifar10", 60)
    torch.manual_seed(0)
    net, losses = task.model(data).train(), []
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    with task.plan("blocks", 0.1).installed(net, data.train.rows(slice(0, 2))):
        for step in range(1, 16):
            batch = data.train.batch(step, seed=0, batch_size=60).columns
            loss = task.loss(net(batch["image"]), batch).mean.value
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
