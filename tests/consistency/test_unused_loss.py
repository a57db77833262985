"""A loss that nobody trains on is said once, and one that is used never."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from consistency.tiny import X, Y
from dropsmith.consistency import consistent
from dropsmith.objectives import RDrop, TaskLoss


def model(objective):
    net = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))
    return consistent(net, objective, loss="classification")


@pytest.mark.parametrize("objective", [RDrop(alpha=1), TaskLoss()])
def test_training_on_the_logits_alone_is_said_once(objective):
    net = model(objective)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(30):
            F.cross_entropy(net(X, labels=Y).logits, Y).backward()
    assert ["got no gradient" in str(one.message) for one in said] == [True]


@pytest.mark.parametrize("use", ["scaled", "late", "autograd.grad"])
def test_nothing_is_said_where_the_loss_is_trained_on(use):
    net, losses = model(RDrop(alpha=1)), []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(30):
            loss = net(X, labels=Y).loss
            losses.append(loss)
            if use == "scaled":
                (loss * 8).backward()
            elif use == "autograd.grad":
                torch.autograd.grad(loss, list(net.parameters()))
            elif step % 5 == 4:
                sum(losses[-5:]).backward()
