"""Variance components against numbers whose components are known."""

import numpy as np
import pytest

from dropsmith.errors import SearchError
from dropsmith.pattern_search.analysis import score_noise


def scores(between: float, within: float, plans: int, seeds: int, draw: int) -> np.ndarray:
    generator = np.random.default_rng(draw)
    means = generator.normal(scale=between, size=(plans, 1)) if between else np.zeros((plans, 1))
    return means + generator.normal(scale=within, size=(plans, seeds)) + 3.0


def test_the_parts_are_those_the_scores_were_made_of():
    found = score_noise(scores(2.0, 1.0, 3000, 4, 0).tolist())
    # The relative errors of both are about 1 / sqrt(2 × 3000), so five of them are 7 %.
    assert found.between == pytest.approx(2.0, rel=0.07)
    assert found.within == pytest.approx(1.0, rel=0.07)
    assert found.share == pytest.approx(1 / 5, rel=0.15)
    assert found.low < 1 / 5 < found.high


@pytest.mark.parametrize(("between", "within"), [(1.0, 1.0), (0.3, 1.0), (3.0, 1.0)])
def test_the_interval_holds_the_truth_as_often_as_it_says(between: float, within: float):
    truth, draws = within**2 / (between**2 + within**2), 400
    held = 0
    for draw in range(draws):
        found = score_noise(scores(between, within, 12, 3, draw).tolist())
        held += found.low <= truth <= found.high
    assert abs(held / draws - 0.95) <= 5 * (0.05 * 0.95 / draws) ** 0.5


def test_where_plans_do_not_differ_all_is_noise():
    shares = [score_noise(scores(0.0, 1.0, 10, 3, draw).tolist()) for draw in range(100)]
    assert sum(found.high == 1.0 for found in shares) >= 90
    assert max(found.share for found in shares) == 1.0
    assert min(found.between for found in shares) == 0.0


def test_averaging_over_the_seeds_it_names_leaves_that_share_of_noise():
    found = score_noise(scores(1.0, 2.0, 50, 4, 1).tolist())
    count = found.seeds_for(0.2)
    left = found.share / count
    assert left / (left + 1 - found.share) == pytest.approx(0.2)
    assert found.seeds_for(0.999) == 1.0


@pytest.mark.parametrize("table", [[], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 2.0], [1.0]]])
def test_scores_that_cannot_tell_are_refused(table: list[list[float]]):
    with pytest.raises(SearchError, match="two plans or more"):
        score_noise(table)


def test_scores_that_no_seed_changes_are_taken_for_a_mistake():
    with pytest.raises(SearchError, match="all seeds have equal scores"):
        score_noise([[1.0, 1.0], [2.0, 2.0]])
