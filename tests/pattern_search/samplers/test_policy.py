"""The policy against what a language model over tokens must be, by enumeration."""

from itertools import product

import pytest
import torch
from torch import Tensor

from dropsmith.pattern_search import Choice
from dropsmith.pattern_search.samplers.policy import Policy

COUNTS = (3, 1, 2, 4)
CHOICES = tuple(Choice(f"c{i}", tuple(range(n))) for i, n in enumerate(COUNTS))
EVERY = torch.tensor(list(product(*map(range, COUNTS))))


def policy(seed: int, temperature: float = 1.0) -> Policy:
    """One that has learned something: its values are not zero."""
    torch.manual_seed(seed)
    made = Policy(CHOICES, width=8, layers=2, heads=2, temperature=temperature).double()
    with torch.no_grad():
        made.values.normal_()
        made.bias.normal_()
    return made


def test_an_untrained_policy_takes_each_plan_with_the_same_chance():
    torch.manual_seed(0)
    log_probabilities = Policy(CHOICES).double().log_probabilities(EVERY)
    assert log_probabilities.exp().tolist() == pytest.approx([1 / len(EVERY)] * len(EVERY))


@pytest.mark.parametrize("seed", range(5))
def test_chances_of_all_plans_sum_to_one(seed: int):
    chances = policy(seed).log_probabilities(EVERY).exp()
    assert chances.sum().item() == pytest.approx(1, abs=1e-12)
    assert chances.std() > 0.1 / len(EVERY)


def test_a_value_that_a_choice_does_not_have_has_no_chance():
    table = policy(0)(EVERY)
    for place, count in enumerate(COUNTS):
        assert table[:, place, :count].isfinite().all()
        assert (table[:, place, count:] == float("-inf")).all()


def test_a_choice_sees_those_before_it_and_none_after():
    made, first = policy(1), torch.tensor([[0, 0, 0, 0]])
    for place in range(len(COUNTS)):
        other = first.clone()
        other[0, place] = COUNTS[place] - 1
        same = [torch.equal(a, b) for a, b in zip(made(first)[0], made(other)[0], strict=True)]
        # A choice of one value is certain, and tells the others nothing.
        later = [1 in (count, COUNTS[place]) for count in COUNTS[place + 1 :]]
        assert same == [True] * (place + 1) + later


@pytest.mark.parametrize("length", range(4))
def test_a_prefix_has_the_scores_of_the_choices_up_to_the_next(length: int):
    made = policy(2)
    whole = made(EVERY)[:, : length + 1]
    torch.testing.assert_close(made(EVERY[:, :length]), whole, rtol=1e-12, atol=1e-12)


def test_temperature_divides_the_scores():
    warm, cold = policy(3, temperature=4.0), policy(3)
    sharpened = (4 * finite(warm(EVERY))).where(warm(EVERY).isfinite(), -torch.inf)
    torch.testing.assert_close(sharpened.log_softmax(-1), cold(EVERY))


def finite(table: Tensor) -> Tensor:
    return table.where(table.isfinite(), 0.0)
