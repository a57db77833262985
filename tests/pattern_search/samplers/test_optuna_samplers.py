"""Optuna's samplers behind ask and tell: that each still does what it is for."""

from collections import Counter
from math import sqrt

import optuna
import pytest

from dropsmith.errors import SearchError
from dropsmith.pattern_search import (
    TPE,
    Choice,
    Evolution,
    ListedSpace,
    Proposal,
    RandomSampler,
    Sampler,
    TrialResult,
)

SPACE = ListedSpace(tuple(Choice(f"c{place}", (0, 1, 2, 3)) for place in range(6)), ())


def scores(sampler: Sampler, trials: int) -> list[float]:
    """The number of zeros in each proposal, which is what is rewarded."""
    found = []
    for number in range(trials):
        proposal = sampler.ask(number)
        found.append(float(proposal.tokens.count(0)))
        sampler.tell(TrialResult(number, proposal, found[-1]))
    return found


@pytest.mark.parametrize(
    "sampler", [TPE(SPACE, seed=1), Evolution(SPACE, seed=1, population=10)], ids=lambda s: s.name
)
def test_it_learns_from_what_it_is_told(sampler: Sampler):
    """Of six choices 1.5 are zero by chance; the mean of twenty plans is 2.7 one time in 10 000."""
    found = scores(sampler, 80)
    assert sum(found[-20:]) / 20 > 1.5 + 5 * sqrt(6 * 0.25 * 0.75 / 20)


def test_random_search_learns_nothing_and_takes_every_value_alike():
    sampler = RandomSampler(SPACE, seed=3)
    for number in range(40):
        sampler.tell(TrialResult(number, Proposal((0,) * 6), 100.0))
    counted = Counter(token for number in range(100) for token in sampler.ask(number).tokens)
    for token in range(4):
        assert abs(counted[token] / 600 - 0.25) <= 5 * sqrt(0.25 * 0.75 / 600)


def test_a_generation_ends_with_what_is_told_whatever_was_asked():
    """Twenty workers ask before any result; what is bred is of the first ten that are told."""
    sampler = Evolution(SPACE, seed=2, population=10)
    asked = [sampler.ask(number) for number in range(20)]
    for number in range(10):
        score = 1.0 if number < 5 else 0.0
        sampler.tell(TrialResult(number, asked[number], score))
    tokens = sampler.ask(20).tokens
    for number in range(10, 20):
        sampler.tell(TrialResult(number, asked[number], 5.0))
    again = Evolution(SPACE, seed=2, population=10)
    for number in range(10):
        again.tell(TrialResult(number, asked[number], 1.0 if number < 5 else 0.0))
    assert again.ask(20).tokens == tokens


def test_a_population_of_one_is_refused():
    with pytest.raises(SearchError, match="population must be a whole number of at least 2"):
        Evolution(SPACE, population=1)


def test_optunas_own_log_is_quiet_meanwhile_and_as_loud_as_before_after(capsys):
    before = optuna.logging.get_verbosity()
    scores(TPE(SPACE, seed=1), 2)
    assert capsys.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
