from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from dropsmith.errors import TrainingError
from dropsmith.objectives import RDrop, TaskLoss
from dropsmith.plans.plan import Plan
from dropsmith.tasks import Split, find_task
from dropsmith.tasks.data.selection import rows_at
from dropsmith.train.state import State
from dropsmith.train.step import Stepper
from train.setups import SHORT, digits


class Plain:
    """Stands in for Accelerate where nothing is to be moved."""

    device = torch.device("cpu")

    @staticmethod
    def backward(loss):
        loss.backward()


class Spy(nn.Module):
    """A linear model that remembers what it was given."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.seen = nn.Linear(64, 10), []

    def forward(self, image):
        if torch.is_grad_enabled():  # without gradients a few rows are tried
            self.seen.append(image)
        return self.layer(image.flatten(1))


def stepper(setup, train=None):
    task = find_task("digits")
    train = task.load(limit=setup.limit).train if train is None else train
    return Stepper(setup, task, train, Plain())


def state(model, **settings):
    return State(model, torch.optim.AdamW(model.parameters(), lr=1.0, **settings))


def test_a_step_is_adamws_on_the_mean_loss_of_its_rows(tmp_path):
    setup = digits(noise=False, views=1)
    ours, theirs = state(Spy(), weight_decay=0.1), Spy()
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1.0, weight_decay=0.1)
    train = find_task("digits").load(limit=100).train
    for step in range(1, 4):
        task = stepper(setup).take(ours, 0.1 * step, tmp_path)
        batch = train.rows(rows_at(step, seed=0, batch_size=20, examples=100))
        loss = F.cross_entropy(theirs(batch["image"]), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in theirs.parameters()]).norm()
        for parameter in theirs.parameters():
            parameter.grad *= min(1.0, SHORT.clip / (float(norm) + 1e-6))
        optimizer.param_groups[0]["lr"] = 0.1 * step
        optimizer.step()
        assert float(task.value) == pytest.approx(float(loss.detach()))
        assert ours.step == step
    for mine, other in zip(ours.model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("views", [1, 2])
def test_the_model_is_given_each_row_once_for_every_view(tmp_path, views):
    one = state(Spy())
    stepper(digits(noise=False, views=views)).take(one, 1e-3, tmp_path)
    assert sum(len(seen) for seen in one.model.seen) == 20 * views
    assert len(one.model.seen) == 1


def test_the_same_step_of_two_methods_sees_the_same_rows(tmp_path):
    seen = []
    for views in (1, 2):
        one = state(Spy())
        stepper(digits(noise=False, views=views)).take(one, 1e-3, tmp_path)
        seen.append(one.model.seen[0][:20])
    assert torch.equal(*seen)


def test_another_seed_sees_other_rows(tmp_path):
    seen = []
    for seed in (0, 1):
        one = state(Spy())
        stepper(digits(noise=False, seed=seed)).take(one, 1e-3, tmp_path)
        seen.append(one.model.seen[0][:20])
    assert not torch.equal(*seen)


def test_a_consistency_term_is_felt_in_the_weights(tmp_path):
    ends = []
    for alpha in (0.0, 5.0):
        setup = digits(objective=RDrop(alpha=alpha))
        torch.manual_seed(0)
        task = find_task("digits")
        net = task.model(task.load())
        with setup.plan.installed(net, torch.ones(2, 1, 8, 8), seed=0):
            stepper(setup).take(state(net), 1e-3, tmp_path)
        ends.append(net.head.weight.detach())
    assert not torch.equal(*ends)


def broken(value):
    """A hundred examples of which the third is not a number."""
    train = find_task("digits").load(limit=100).train
    images = train.columns["image"].clone()
    images[3, 0, 0, 0] = value
    return Split({"image": images, "labels": train.columns["labels"]})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_batch_kept(tmp_path, value):
    setup = digits(noise=False, objective=TaskLoss())
    train = broken(value)
    rows = [rows_at(s, seed=0, batch_size=20, examples=100) for s in range(1, 6)]
    step = next(number for number, row in enumerate(rows, start=1) if 3 in row)
    one = state(Spy())
    for _ in range(step - 1):
        stepper(setup, train).take(one, 1e-3, tmp_path)
    before = one.model.layer.weight.detach().clone()
    with pytest.raises(TrainingError, match=rf"at step {step}\n  terms: task [\s\S]*batch is kept"):
        stepper(setup, train).take(one, 1e-3, tmp_path)
    assert torch.equal(one.model.layer.weight, before)
    kept = load_file(tmp_path / f"step_{step}.safetensors")
    assert torch.equal(kept["image"], train.columns["image"][rows[step - 1]].contiguous()) or (
        value != value and kept["image"].isnan().sum() == 1
    )
    assert torch.equal(kept["labels"], train.columns["labels"][rows[step - 1]])


class Cliff(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float("inf")


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_touched(tmp_path):
    one = state(Spy())
    one.model.register_forward_hook(lambda module, args, output: Cliff.apply(output))
    before = one.model.layer.weight.detach().clone()
    with pytest.raises(TrainingError, match=r"at step 1\n[\s\S]*norm of the gradient: (nan|inf)"):
        stepper(digits(noise=False, views=1)).take(one, 1e-3, tmp_path)
    assert torch.equal(one.model.layer.weight, before)


def test_without_a_clip_long_gradients_stay_long(tmp_path):
    grads = []
    for clip in (None, 1e-3):
        one = state(Spy())
        setup = digits(noise=False, views=1, budget=replace(SHORT, clip=clip))
        stepper(setup).take(one, 1e-3, tmp_path)
        grads.append(torch.cat([p.grad.flatten() for p in one.model.parameters()]).norm())
    assert grads[0] > 10 * grads[1]
    assert float(grads[1]) == pytest.approx(1e-3, rel=1e-3)


def test_rounds_in_which_the_objective_wants_one_view_make_one_plain_pass(tmp_path):
    class Now(RDrop):
        def views_at(self, step):
            return 2 if step == 2 else 1

    one = state(Spy())
    taker = stepper(digits(noise=False, plan=Plan(), objective=Now(alpha=1.0)))
    for _ in range(3):
        taker.take(one, 1e-3, tmp_path)
    assert [len(seen) for seen in one.model.seen] == [20, 40, 20]
    assert one.step == 3
