"""Split conformal sets and intervals: their coverage over many draws, and their bounds by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import betabinom

from dropsmith.errors import ViewError
from dropsmith.measures import ConformalIntervals, ConformalSets

FIT, TEST = 99, 400


def chances(covered, coverage):
    """The chance of so few or so many covered: with a threshold of rank k of n scores without
    ties, of m new ones as many are below as a beta-binomial says (Vovk 2012)."""
    rank = int(np.ceil((FIT + 1) * coverage))
    law = betabinom(TEST, rank, FIT + 1 - rank)
    return min(law.cdf(covered), law.sf(covered - 1))


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.99])
@pytest.mark.parametrize("seed", range(3))
def test_sets_hold_the_truth_as_often_as_asked_however_wrong_the_model_is(coverage, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(FIT + TEST, 6, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(scores.softmax(-1), 1, generator=generator).squeeze(1)
    wrong = (scores * 3 + torch.arange(6)).softmax(-1)  # too sure, and partial to some classes
    sets = ConformalSets.fit(wrong[:FIT], labels[:FIT], coverage)
    by_threshold = wrong[FIT:] >= sets.threshold
    covered = int(by_threshold.gather(1, labels[FIT:, None]).sum())
    assert chances(covered, coverage) > 1e-4
    # The set that is returned also has the most probable class, so that it is never empty.
    inside = sets(wrong[FIT:])
    assert bool((inside >= by_threshold).all())
    assert bool(inside.any(-1).all())
    assert bool(((inside & ~by_threshold).sum(-1) <= 1).all())


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["mean", "scaled", "quantiles"])
def test_intervals_hold_the_truth_as_often_as_asked(coverage, kind):
    generator = torch.Generator().manual_seed(1)
    spread = torch.rand(FIT + TEST, generator=generator, dtype=torch.float64) + 0.1
    truth = spread * torch.randn(FIT + TEST, generator=generator, dtype=torch.float64) + 1
    mean = torch.zeros_like(truth)  # a model that is off by 1
    more = {
        "mean": {},
        "scaled": {"scale": spread},
        "quantiles": {"upper": mean + spread},
    }[kind]
    fit = {name: values[:FIT] for name, values in more.items()}
    new = {name: values[FIT:] for name, values in more.items()}
    intervals = ConformalIntervals.fit(mean[:FIT], truth[:FIT], coverage, **fit)
    low, high = intervals(mean[FIT:], **new)
    covered = int(((low <= truth[FIT:]) & (truth[FIT:] <= high)).sum())
    assert chances(covered, coverage) > 1e-4
    if kind == "scaled":
        torch.testing.assert_close((high - low) / (2 * intervals.margin), spread[FIT:])


def test_the_threshold_is_the_score_of_the_rank_by_hand():
    probabilities = torch.tensor(
        [[p, 1 - p] for p in (0.9, 0.3, 0.6, 0.8, 0.2, 0.7, 0.5, 0.4, 0.95)]
    )
    sets = ConformalSets.fit(probabilities, torch.zeros(9).long(), 0.8)
    # ⌈10 · 0.8⌉ = 8: of the nine 1 - p in order, the eighth belongs to p = 0.3.
    assert sets.threshold == pytest.approx(0.3)
    assert sets(torch.tensor([[0.29, 0.71], [0.31, 0.69]])).tolist() == [
        [False, True],
        [True, True],
    ]


def test_classes_on_another_axis_and_padding_are_known():
    generator = torch.Generator().manual_seed(2)
    likely = torch.randn(6, 10, 4, generator=generator).softmax(-1)
    labels = torch.randint(4, (6, 10), generator=generator)
    labels[:, 7:] = -100
    want = ConformalSets.fit(likely[:, :7].flatten(0, 1), labels[:, :7].flatten(), 0.9)
    got = ConformalSets.fit(likely.movedim(-1, 1), labels, 0.9, class_axis=1)
    assert got.threshold == want.threshold
    assert torch.equal(got(likely.movedim(-1, 1)).movedim(1, -1), want(likely))


@pytest.mark.parametrize(("coverage", "least"), [(0.9, 9), (0.95, 19), (0.5, 1), (0.99, 99)])
def test_too_few_examples_are_refused_with_the_number_that_it_takes(coverage, least):
    likely, labels = torch.full((least - 1, 2), 0.5), torch.zeros(least - 1).long()
    if least > 1:
        with pytest.raises(ViewError, match=f"give at least {least}$"):
            ConformalSets.fit(likely, labels, coverage)
    ConformalSets.fit(torch.full((least, 2), 0.5), torch.zeros(least).long(), coverage)


def test_scales_and_shapes_that_cannot_be_are_refused():
    mean = torch.zeros(20)
    with pytest.raises(ViewError, match="scale is above 0"):
        ConformalIntervals.fit(mean, mean, scale=mean)
    with pytest.raises(ViewError, match=r"\(3,\) and \(20,\)"):
        ConformalIntervals.fit(mean, torch.zeros(3))
    with pytest.raises(ViewError, match="coverage must be"):
        ConformalIntervals.fit(mean, mean, 1.0)
    with pytest.raises(ViewError, match="infinite or NaN"):
        ConformalIntervals.fit(mean, mean + float("nan"))
