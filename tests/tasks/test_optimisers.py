import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dropsmith.errors import TaskError
from dropsmith.tasks import Budget
from dropsmith.tasks.optimisers import ASGD, SGD, AdamW, TriggeredASGD, worse_at
from dropsmith.train.optimisers import optimizer_of


@given(st.lists(st.floats(1, 9), max_size=30), st.sampled_from([1, 2, 5]))
def test_the_trigger_is_that_of_the_papers_algorithm(losses, nonmono):
    assert TriggeredASGD(nonmono=nonmono).trigger(losses) == by_hand(losses, nonmono)


@given(st.lists(st.floats(1, 9), max_size=30))
def test_a_trigger_once_pulled_stays_where_it_was(losses):
    asgd = TriggeredASGD(nonmono=2)
    found = [asgd.trigger(losses[:n]) for n in range(len(losses) + 1)]
    assert len({index for index in found if index is not None}) <= 1
    assert found == sorted(found, key=lambda index: index is not None)


@pytest.mark.parametrize("kind", [SGD, TriggeredASGD, ASGD])
@pytest.mark.parametrize("shrink", [-0.1, 1.0])
def test_weights_that_would_grow_or_vanish_are_refused(kind, shrink):
    with pytest.raises(TaskError, match=f"{kind.__name__}: shrink must be"):
        kind(shrink=shrink)


def test_a_trigger_needs_at_least_one_evaluation_to_look_past():
    with pytest.raises(TaskError, match="nonmono must be a whole number of at least 1, got 0"):
        TriggeredASGD(nonmono=0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"momentum": 0.9, "shrink": 0.1}, "leave out momentum, or shrink"),
        ({"ahead": True}, "momentum, which is 0"),
    ],
)
def test_a_momentum_that_cannot_be_is_refused(settings, says):
    with pytest.raises(TaskError, match=says):
        SGD(**settings)


def stepped(optimiser, gradients):
    """A weight of 1 after steps of a tenth against these gradients."""
    weight = nn.Parameter(torch.ones((), dtype=torch.float64))
    holder = nn.Module()
    holder.weight = weight
    budget = Budget(epochs=1, batch_size=1, learning_rate=0.1, optimiser=optimiser)
    steps = optimizer_of(holder, budget)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        steps.step()
    return weight.item()


def test_momentum_sums_gradients_and_looks_ahead_where_it_is_told_to():
    first, second = 2.0, 3.0
    sums = (first, 0.9 * first + second)
    assert stepped(SGD(momentum=0.9), (first, second)) == pytest.approx(1 - 0.1 * sum(sums))
    ahead = first + 0.9 * sums[0] + second + 0.9 * sums[1]
    assert stepped(SGD(momentum=0.9, ahead=True), (first, second)) == pytest.approx(1 - 0.1 * ahead)


def test_adams_means_are_kept_as_long_as_its_settings_say():
    first, second, least = 0.5, 0.75, 1e-3
    mean = square = 0.0
    weight = 1.0
    for step, gradient in enumerate((2.0, -1.0), start=1):
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        root = math.sqrt(square / (1 - second**step))
        weight -= 0.1 * mean / (1 - first**step) / (root + least)
    found = stepped(AdamW(first=first, second=second, least=least), (2.0, -1.0))
    assert found == pytest.approx(weight)


def by_hand(losses, nonmono):
    """Algorithm 1 of Merity et al. (2018), line by line: t counts the logs, T is set once."""
    logs = []
    for index, loss in enumerate(losses):
        if len(logs) > nonmono and loss > min(logs[: len(logs) - nonmono]):
            return index
        logs.append(loss)
    return None


@given(st.lists(st.floats(1, 9), max_size=30), st.sampled_from([1, 2, 5]))
def test_it_is_where_the_papers_algorithm_would_trigger(losses, nonmono):
    assert worse_at(losses, nonmono) == by_hand(losses, nonmono)


def test_losses_that_are_not_numbers_are_no_mark_to_beat():
    assert worse_at([math.nan, 3.0, 2.0, 2.5], 1) is None
    assert worse_at([2.0, math.nan, 3.0, 4.0], 1) == 2
    assert worse_at([2.0, 1.0, math.nan, 1.5, 1.5], 1) == 3
