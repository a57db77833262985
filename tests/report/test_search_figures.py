"""The pictures of a search show its numbers."""

import numpy as np
import pytest

from dropsmith.report.figures import png
from dropsmith.report.search_figures import (
    preferred_figure,
    scores_figure,
    shares_over_time,
)
from learn.small import searched, searches, trial


def curve():
    scores = [0.9, 0.5, 0.6, 0.4, 0.7]
    trials = [trial(n, (n % 3, 0, 0), score) for n, score in enumerate(scores)]
    return searched(
        *trials,
        trial(5, status="failed"),
        trial(6, status="stopped", reports=((1, 0.8), (2, 0.75))),
        trial(7, (1, 1, 1), 55.0),
    )


def lines(figure):
    """The data of each line of the panel, by its marker."""
    return {line.get_marker(): line.get_xydata().tolist() for line in figure.axes[0].lines}


def test_the_line_is_the_best_so_far_and_each_end_has_its_mark():
    drawn = lines(scores_figure(searches(curve())))
    assert [y for _, y in drawn["None"]] == [0.9, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4]
    assert [x for x, _ in drawn["o"]] == [0, 1, 2, 3, 4]
    assert drawn["x"] == [[6, 0.75]]
    assert [x for x, _ in drawn["v"]] == [5]
    ((x, y),) = drawn["^"]
    assert x == 7
    assert y < 55


def test_a_retry_stands_where_its_proposal_stands():
    search = searched(
        trial(0, status="lost"),
        trial(1, (1, 0, 0), 0.5),
        trial(2, proposal_index=0, retry=1, score=0.4),
    )
    drawn = lines(scores_figure(searches(search)))
    assert drawn["o"] == [[1, 0.5], [0, 0.4]]
    assert [y for _, y in drawn["None"]] == [0.4, 0.4, 0.4]


def test_without_a_score_there_is_no_picture():
    assert scores_figure(searches(searched(trial(0, status="failed")))) is None


def test_shares_are_those_of_each_window_and_add_up_to_one():
    first = [trial(n, (0, 0, 0), 0.5) for n in range(20)]
    later = [trial(20 + n, (2, n % 2, 1), 0.5) for n in range(20)]
    search = searched(*first, *later)
    shares = shares_over_time(search, searches(search))
    assert set(shares) == {"convs.size", "convs.shear_x", "convs.draw"}
    assert shares["convs.size"].shape == (3, 10)
    assert shares["convs.size"][:, 0].tolist() == [1, 0, 0]
    assert shares["convs.size"][:, -1].tolist() == [0, 0, 1]
    assert shares["convs.shear_x"][:, -1].tolist() == [0.5, 0.5]
    assert all(np.allclose(one.sum(axis=0), 1) for one in shares.values())


def test_a_retry_is_no_proposal_of_its_own():
    trials = [trial(n, (0, 0, 0), 0.5) for n in range(8)]
    again = trial(8, (0, 0, 0), 0.5, proposal_index=7, retry=1)
    one, other = (searched(*trials, *more) for more in ((), (again,)))
    assert all(
        (shares == shares_over_time(other, searches(other))[name]).all()
        for name, shares in shares_over_time(one, searches(one)).items()
    )


def test_a_short_search_has_no_windows():
    search = searched(*(trial(n, score=0.5) for n in range(7)))
    assert shares_over_time(search, searches(search)) == {}
    assert preferred_figure(search, searches(search)) is None


@pytest.mark.parametrize(
    "figure", [scores_figure, lambda found: preferred_figure(found.runs[0], found)]
)
def test_pictures_are_drawn_the_same_each_time(figure):
    found = searches(searched(*(trial(n, (n % 3, 0, 0), 1 / (n + 1)) for n in range(12))))
    assert png(figure(found)) == png(figure(found))
