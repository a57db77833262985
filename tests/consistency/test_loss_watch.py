"""A loss that nobody trains on is said once, after a few steps, and one that is used never."""

import pickle
import warnings
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from consistency.tiny import X, Y
from dropsmith.consistency import consistent, restore
from dropsmith.objectives import RDrop, TaskLoss


class Net(nn.Module):
    """A model whose `net` a caller may run by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))

    def forward(self, x):
        return self.net(x)


def model(objective=None):
    return consistent(Net(), objective or RDrop(alpha=1), loss="classification")


@pytest.fixture
def said():
    """The warnings of a test."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield found


def texts(said):
    return [str(warning.message) for warning in said]


def sgd(net, **settings):
    return torch.optim.SGD(net.parameters(), 0.01, **settings)


OPTIMISERS = {
    "SGD": sgd,
    "SGD, for each": lambda net: sgd(net, foreach=True),
    "SGD, fused": lambda net: sgd(net, fused=True),
    "AdamW, fused": lambda net: torch.optim.AdamW(net.parameters(), fused=True),
    "through .data": None,
}


@pytest.mark.parametrize("objective", [RDrop(alpha=1), TaskLoss()])
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_training_on_the_logits_alone_is_said_once_after_three_updates(objective, make, said):
    net = model(objective)
    optimiser, steps_until_said = make and make(net), 0
    for _ in range(12):
        net.zero_grad()
        F.cross_entropy(net(X, labels=Y).logits, Y).backward()
        steps_until_said += not said
        if optimiser is not None:
            optimiser.step()
        else:
            for parameter in net.parameters():
                parameter.data -= 0.01 * parameter.grad
    assert ["term is not trained on: in 3 steps" in text for text in texts(said)] == [True]
    assert "class_weights=" in texts(said)[0]
    assert texts(said)[0].count("\n") == 2
    assert steps_until_said == 3


def test_class_weights_by_hand_over_accumulated_steps_are_said(said):
    net = model()
    optimiser, weights = sgd(net), torch.tensor([1.0, 2.0, 3.0])
    for step in range(12):
        (F.cross_entropy(net(X, labels=Y).logits, Y, weight=weights) / 4).backward()
        if step % 4 == 3:
            optimiser.step()
            optimiser.zero_grad()
    assert len(said) == 1


def test_backward_passes_through_the_logits_are_said_where_no_update_is_seen(said):
    net = model()
    for _ in range(30):
        F.cross_entropy(net(X, labels=Y).logits, Y).backward()
    assert ["in 10 steps" in text for text in texts(said)] == [True]


@pytest.mark.parametrize(
    "use",
    [
        "plain",
        "scaled",
        "moved",
        "late",
        "autograd.grad",
        "both",
        "no-backward",
        "saliency",
        "eval",
    ],
)
def test_nothing_is_said_where_the_loss_is_trained_on_or_nothing_is(use, said):
    net, losses = model(), []
    optimiser = sgd(net, momentum=0.9)
    for step in range(12):
        if use == "eval":
            with torch.no_grad():
                net.eval()(X)
            net.train()
        output = net(X, labels=Y)
        loss = output.loss
        losses.append(loss)
        if use in ("plain", "eval"):
            loss.backward()
        elif use == "scaled":
            (loss * 8).backward()
        elif use == "moved":
            loss.to("cpu", torch.float64).mean().backward()
        elif use == "autograd.grad":
            for parameter, grad in zip(
                net.parameters(), torch.autograd.grad(loss, list(net.parameters())), strict=True
            ):
                parameter.grad = grad
        elif use == "both":
            (loss + F.cross_entropy(output.logits, Y)).backward()
        elif use == "late" and step % 4 == 3:
            sum(losses[-4:]).backward()
        elif use == "saliency" and step < 3:
            # Looking at the scores alone, before training begins.
            torch.autograd.grad(output.logits.sum(), list(net.parameters()))
        elif use == "saliency":
            loss.backward()
        if use != "no-backward" and (use != "late" or step % 4 == 3):
            optimiser.step()
            optimiser.zero_grad()
    assert not said


def test_weights_that_are_loaded_between_looks_are_no_training(said):
    net = model()
    other = Net().state_dict()
    for _ in range(12):
        net(X, labels=Y)
        net.load_state_dict(other)
    assert not said


def test_a_trained_step_after_an_error_is_not_said(said):
    net = model()
    for _ in range(12):
        with pytest.raises(RuntimeError):
            net(X[:, :2], labels=Y)
        net.zero_grad()
        net(X, labels=Y).loss.backward()
    assert not said


def test_two_models_of_which_one_is_trained_on_its_loss_are_told_apart(said):
    used, unused = model(), model()
    optimiser = torch.optim.SGD([*used.parameters(), *unused.parameters()], 0.01)
    for _ in range(6):
        optimiser.zero_grad()
        (used(X, labels=Y).loss + unused(X, labels=Y).logits.square().mean()).backward()
        optimiser.step()
    assert len(said) == 1


def test_a_compiled_model_is_watched_all_the_same(said):
    for use, count in (("loss", 0), ("logits", 1)):
        net = model()
        compiled, optimiser = torch.compile(net, backend="eager"), sgd(net)
        for _ in range(5):
            optimiser.zero_grad()
            output = compiled(X, labels=Y)
            (output.loss if use == "loss" else F.cross_entropy(output.logits, Y)).backward()
            optimiser.step()
        assert len([text for text in texts(said) if "not trained on" in text]) == count


def test_a_consistent_model_of_which_only_parts_are_called_is_told(said):
    net = model()
    for _ in range(6):
        F.cross_entropy(net.net(X), Y).backward()
    assert ["itself was never called" in text for text in texts(said)] == [True]
    assert not any(parameter._post_accumulate_grad_hooks for parameter in net.parameters())


def test_parts_may_be_called_by_themselves_once_the_model_was_called(said):
    net = model()
    net(X, labels=Y).loss.backward()
    for _ in range(6):
        F.cross_entropy(net.net(X), Y).backward()
    assert not said


@pytest.mark.parametrize("way", [restore, deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_hooks_on_parameters_end_with_the_consistency_and_are_not_copied(way, said):
    net = way(model())
    for _ in range(6):
        F.cross_entropy(net.net(X), Y).backward()
    assert not said
    if way is not restore:
        net(X, labels=Y).loss.backward()
        restore(net)
