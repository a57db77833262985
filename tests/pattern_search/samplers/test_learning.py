"""The policy gradient against the expectation itself, by enumerating every plan in float64."""

from itertools import product

import pytest
import torch
from torch import Tensor

from dropsmith.pattern_search import Choice
from dropsmith.pattern_search.samplers import learning
from dropsmith.pattern_search.samplers.policy import Policy

COUNTS = (2, 3, 2)
CHOICES = tuple(Choice(f"c{i}", tuple(range(n))) for i, n in enumerate(COUNTS))
EVERY = torch.tensor(list(product(*map(range, COUNTS))))
SCORES = torch.randn(len(EVERY), dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def policy(seed: int) -> Policy:
    torch.manual_seed(seed)
    made = Policy(CHOICES, width=4, layers=1, heads=2).double()
    with torch.no_grad():
        made.values.normal_()
        made.bias.normal_()
    return made


def flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([one.flatten() for one in gradients])


def expectation(made: Policy) -> Tensor:
    return (made.log_probabilities(EVERY).exp() * SCORES).sum()


def estimated(made: Policy, then: Tensor, baseline: float, clip: float | None) -> Tensor:
    """The mean of what single trials would contribute, each weighted by how often it is drawn."""
    total = torch.zeros(sum(p.numel() for p in made.parameters()), dtype=torch.float64)
    for row, score, old in zip(EVERY, SCORES, then, strict=True):
        now = made.log_probabilities(row[None])
        weight = learning.importance_weights(now, old, clip)
        gain = learning.surrogate(now, weight, (score - baseline)[None])
        total += old.exp() * flat(torch.autograd.grad(gain, list(made.parameters())))
    return total


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_the_gradient_is_that_of_the_expected_score_whatever_the_baseline(baseline: float):
    made = policy(0)
    exact = flat(torch.autograd.grad(expectation(made), list(made.parameters())))
    then = made.log_probabilities(EVERY).detach()
    torch.testing.assert_close(estimated(made, then, baseline, None), exact)


def test_the_gradient_is_what_moving_a_weight_does_to_the_expected_score():
    made, step = policy(1), 1e-6
    then = made.log_probabilities(EVERY).detach()
    found = estimated(made, then, 0.3, None)
    with torch.no_grad():
        vector = torch.nn.utils.parameters_to_vector(made.parameters())
        for index in range(0, len(vector), 17):
            ends = []
            for sign in (1, -1):
                moved = vector.clone()
                moved[index] += sign * step
                torch.nn.utils.vector_to_parameters(moved, made.parameters())
                ends.append(expectation(made).item())
            assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(found[index].item(), abs=1e-8)


def test_trials_of_an_older_policy_give_the_gradient_of_the_policy_of_now(monkeypatch):
    now, older = policy(2), policy(3)
    then = older.log_probabilities(EVERY).detach()
    exact = flat(torch.autograd.grad(expectation(now), list(now.parameters())))
    torch.testing.assert_close(estimated(now, then, 0.0, None), exact)
    clipped = estimated(now, then, 0.0, 1.0)
    assert (clipped - exact).norm() > 0.05 * exact.norm()
    # Nor is it so without the weights: the policies differ enough to tell.
    monkeypatch.setattr(
        learning, "importance_weights", lambda now, then, clip: torch.ones_like(then)
    )
    unweighted = estimated(now, then, 0.0, None)
    assert (unweighted - exact).norm() > 0.2 * exact.norm()


def test_a_weight_is_the_ratio_of_chances_and_never_above_its_limit():
    now, then = torch.tensor([0.5, 0.1, 0.3]).log(), torch.tensor([0.1, 0.5, 0.3]).log()
    weights = learning.importance_weights(now, then, None)
    torch.testing.assert_close(weights, torch.tensor([5.0, 0.2, 1.0]))
    limited = learning.importance_weights(now, then, 2.0)
    torch.testing.assert_close(limited, torch.tensor([2.0, 0.2, 1.0]))


def test_no_gradient_flows_through_a_weight():
    now = torch.tensor([0.5]).log().requires_grad_()
    assert not learning.importance_weights(now, torch.tensor([0.0]), None).requires_grad


def test_advantages_are_in_units_of_the_spread_and_nothing_where_there_is_none():
    scores = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
    many = torch.cat([10 * scores + 7, scores.new_tensor([])])
    torch.testing.assert_close(
        learning.advantages(many, 10 * 2 + 7), learning.advantages(scores, 2.0)
    )
    alike = learning.advantages(torch.full((4,), 2.5, dtype=torch.float64), 2.5)
    assert alike.tolist() == [0.0] * 4


def test_the_entropy_of_choices_that_do_not_see_each_other_is_that_of_the_plans():
    made = policy(5)
    with torch.no_grad():
        made.values.zero_()
    log_probabilities = made.log_probabilities(EVERY)
    whole = -(log_probabilities.exp() * log_probabilities).sum()
    torch.testing.assert_close(learning.entropy(made(EVERY)), whole)
