"""Searches over a table of scores."""

import random
from collections.abc import Sequence

import pytest

from dropsmith.errors import SearchError
from dropsmith.pattern_search import (
    Choice,
    ListedSpace,
    Proposal,
    RandomSampler,
    Sampler,
    Space,
    State,
    Tokens,
    TrialResult,
)
from dropsmith.pattern_search.analysis import Curves, first_trial, random_order, replay

SPACE = ListedSpace((Choice("a", tuple(range(6))), Choice("b", tuple(range(5)))), ())
TABLE = {tokens: float(10 * tokens[0] + tokens[1]) for tokens in SPACE.all_tokens()}


class InOrder(Sampler):
    """Proposes everything there is, in order, and notes what it is told."""

    name = "in order"

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed
        self.every, self.heard = list(space.all_tokens()), []

    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        return Proposal(self.every[(number + self.seed) % len(self.every)])

    def tell(self, told: TrialResult) -> None:
        self.heard.append((told.number, told.proposal.tokens, told.score))

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


def test_each_proposal_is_told_the_score_of_its_plan_and_the_best_is_kept():
    made = []

    def make(space: Space, seed: int) -> Sampler:
        made.append(InOrder(space, seed))
        return made[0]

    found = replay(SPACE, TABLE, make, trials=8, seed=28)
    assert [score for _, _, score in made[0].heard] == [53, 54, 0, 1, 2, 3, 4, 10]
    assert found == (53, 54, 54, 54, 54, 54, 54, 54)


def test_what_the_table_does_not_hold_is_told_without_a_score_and_not_counted():
    made, part = InOrder(SPACE, 0), {k: v for k, v in TABLE.items() if sum(k) % 2}
    found = replay(SPACE, part, lambda space, seed: made, trials=4)
    assert found == (1, 3, 10, 12)
    assert [told[2] for told in made.heard] == [None, 1, None, 3, None, 10, None, 12]


def test_a_table_too_small_to_go_on_is_said_to_be():
    with pytest.raises(SearchError, match="the table holds 0 of the 30 plans"):
        replay(SPACE, {}, InOrder, trials=1)


def test_tokens_of_another_space_are_refused():
    with pytest.raises(SearchError, match="tokens for a space of 2 choices"):
        replay(SPACE, {(0,): 1.0}, InOrder, trials=1)


def test_the_seed_is_the_samplers():
    def make(space: Space, seed: int) -> Sampler:
        return RandomSampler(space, seed=seed)

    assert replay(SPACE, TABLE, make, trials=9, seed=1) == replay(
        SPACE, TABLE, make, trials=9, seed=1
    )
    assert len({replay(SPACE, TABLE, make, trials=9, seed=seed) for seed in range(5)}) > 1


def test_a_shuffled_table_is_gone_through_once():
    found = random_order(TABLE, trials=30, seed=2)
    assert found[-1] == max(TABLE.values())
    assert list(found) == sorted(found)
    # After k of n different plans the best of all is among them in k / n of the orders.
    early = sum(random_order(TABLE, trials=10, seed=seed)[-1] == 54 for seed in range(300))
    assert abs(early / 300 - 1 / 3) <= 5 * (2 / 9 / 300) ** 0.5
    with pytest.raises(SearchError, match="31 trials of a table of 30"):
        random_order(TABLE, trials=31)


def test_bands_are_quantiles_over_searches_trial_by_trial():
    draws = random.Random(0)
    found = [[draws.random() for _ in range(3)] for _ in range(5)]
    curves = Curves(name="any", best_scores=tuple(tuple(sorted(one)) for one in found))
    for trial in range(3):
        column = sorted(one[trial] for one in curves.best_scores)
        assert curves.median[trial] == column[2]
        assert curves.at(0.25)[trial] == column[1]
    assert set(curves.to_json()["bands"]) == {"0.1", "0.25", "0.5", "0.75", "0.9"}


def test_trials_that_a_score_takes_are_counted_from_one():
    curves = Curves(name="any", best_scores=((1, 2, 9), (1, 5, 5), (4, 4, 4)))
    assert curves.median == (1, 4, 5)
    assert curves.trials_to_reach(4) == 2
    assert curves.trials_to_reach(6) is None
    assert curves.each_trials_to_reach(4) == (3, 2, 1)
    assert first_trial((1, 2, 3), 0) == 1
