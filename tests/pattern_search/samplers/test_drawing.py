"""Draws from a policy: their chances, and that nothing is drawn twice."""

from collections import Counter
from itertools import product
from math import exp, log, sqrt

import pytest
import torch

from dropsmith.pattern_search import Choice, Tokens
from dropsmith.pattern_search.samplers.drawing import RecentTokens, draw_tokens
from dropsmith.pattern_search.samplers.policy import Policy
from dropsmith.rng import Key, Source, uniform

COUNTS = (3, 2, 2)
CHOICES = tuple(Choice(f"c{i}", tuple(range(n))) for i, n in enumerate(COUNTS))
EVERY: list[Tokens] = list(product(*map(range, COUNTS)))


def policy(scale: float) -> Policy:
    torch.manual_seed(0)
    made = Policy(CHOICES, width=8, layers=1, heads=2)
    with torch.no_grad():
        made.values.normal_(std=scale)
        made.bias.normal_(std=scale)
    return made


def chances(made: Policy) -> dict[Tokens, float]:
    with torch.no_grad():
        found = made.log_probabilities(torch.tensor(EVERY)).double().exp()
    return dict(zip(EVERY, found.tolist(), strict=True))


def tried(*tokens: Tokens) -> RecentTokens:
    found = RecentTokens(len(COUNTS), 1000)
    for one in tokens:
        found.add(one)
    return found


def numbers(draw: int) -> list[float]:
    return uniform(Source(Key.of(5).fold(draw)), (len(COUNTS),)).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("without", [(), EVERY[1::2]], ids=len)
def test_what_is_left_is_drawn_as_often_as_the_policy_says_and_says_how_often(
    without: tuple[Tokens, ...],
):
    made, draws = policy(0.4), 400
    known, taken = chances(made), tried(*without).probabilities(made)
    left = {one: known[one] for one in EVERY if one not in without}
    whole = sum(left.values())
    counted: Counter[Tokens] = Counter()
    for number in range(draws):
        tokens, log_probability = draw_tokens(made, numbers(number), taken)
        assert exp(log_probability) == pytest.approx(left[tokens] / whole, rel=1e-4)
        counted[tokens] += 1
    for one, chance in left.items():
        p = chance / whole
        assert abs(counted[one] / draws - p) <= 5 * sqrt(p * (1 - p) / draws)


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_each_plan_is_drawn_once_before_any_is_drawn_again(scale: float):
    """At 30 the policy has settled: all but one plan have a chance that rounds to nothing."""
    made, without = policy(scale), tried()
    for number in range(len(EVERY)):
        tokens, _ = draw_tokens(made, numbers(number), without.probabilities(made))
        assert tokens not in without.rows
        without.add(tokens)
    assert draw_tokens(made, numbers(99), without.probabilities(made))[0] in EVERY


def test_the_same_numbers_draw_the_same_and_the_ends_of_the_range_are_values():
    made, without = policy(1.0), tried().probabilities(policy(1.0))
    assert draw_tokens(made, [0.3] * 3, without) == draw_tokens(made, [0.3] * 3, without)
    assert draw_tokens(made, [0.0] * 3, without)[0] == (0, 0, 0)
    assert draw_tokens(made, [1 - 2**-24] * 3, without)[0] == (2, 1, 1)


def test_what_was_tried_longest_ago_is_forgotten_first():
    found = RecentTokens(len(COUNTS), 2)
    for one in (EVERY[0], EVERY[1], EVERY[0], EVERY[2]):
        found.add(one)
    assert list(found.rows) == [EVERY[0], EVERY[2]]


@pytest.mark.slow
@pytest.mark.parametrize("choices", [24, 400])
def test_a_space_may_be_larger_than_any_number_of_the_machine(choices: int):
    made = Policy(tuple(Choice(f"c{i}", tuple(range(8))) for i in range(choices)), width=8)
    without = RecentTokens(choices, 1000)
    without.add((0,) * choices)
    tokens, log_probability = draw_tokens(made, [0.0] * choices, without.probabilities(made))
    assert tokens not in without.rows
    assert log_probability == pytest.approx(-choices * log(8), rel=1e-3)
