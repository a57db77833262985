"""Risk–coverage curves and areas under ROC curves, against loops over pairs and orders."""

from itertools import permutations, product

import pytest
import torch

from dropsmith.errors import ViewError
from dropsmith.measures import auroc, risk_coverage


def risks(losses):
    return [sum(losses[:count]) / count for count in range(1, len(losses) + 1)]


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_the_mean_loss_of_the_surest(seed):
    generator = torch.Generator().manual_seed(seed)
    unsure = torch.rand(40, generator=generator)
    losses = torch.rand(40, generator=generator)
    pairs = sorted(zip(unsure.tolist(), losses.tolist(), strict=True))
    want = risks([loss for _, loss in pairs])
    curve = risk_coverage(unsure.view(5, 8), losses.view(5, 8))
    assert curve.risk.tolist() == pytest.approx(want)
    assert curve.coverage.tolist() == pytest.approx([count / 40 for count in range(1, 41)])
    assert curve.area == pytest.approx(sum(want) / 40)
    best = risks(sorted(losses.tolist()))
    assert curve.excess == pytest.approx((sum(want) - sum(best)) / 40)


def test_among_equals_the_curve_is_the_mean_over_their_orders():
    unsure, losses = [0.2, 0.2, 0.1, 0.3, 0.2, 0.3], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    curves = [
        risks([losses[i] for i in order])
        for order in permutations(range(6))
        if [unsure[i] for i in order] == sorted(unsure)
    ]
    want = torch.tensor(curves, dtype=torch.float64).mean(0)
    curve = risk_coverage(torch.tensor(unsure), torch.tensor(losses))
    torch.testing.assert_close(curve.risk, want)


def test_an_order_without_a_fault_has_no_excess():
    wrong = torch.tensor([0.0] * 7 + [1.0] * 3)
    assert risk_coverage(wrong + torch.rand(10) / 2, wrong).excess == pytest.approx(0)
    assert risk_coverage(-wrong, wrong).excess > 0.3


@pytest.mark.parametrize("scale", [0.1, 1.0, 50.0])
def test_the_area_is_the_share_of_pairs_in_order(scale):
    """Of numbers of any size, which a function that reads them as logits would squash together."""
    generator = torch.Generator().manual_seed(3)
    unsure = (torch.rand(30, generator=generator) * 8).round() * scale
    positive = torch.rand(30, generator=generator) < 0.4
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high, low in product(unsure[positive].tolist(), unsure[~positive].tolist())
    ]
    assert auroc(unsure, positive) == pytest.approx(sum(pairs) / len(pairs))
    assert auroc(unsure, positive.long()) == auroc(unsure, positive)


@pytest.mark.parametrize(
    ("unsure", "other", "message"),
    [
        ([0.1, 0.2], [True, True], "every item is positive"),
        ([0.1, 0.2], [False, False], "no item is positive"),
        ([0.1, 0.2], [0.0, 2.0], "zeros and ones"),
        ([0.1, float("nan")], [0.0, 1.0], "infinite or NaN"),
        ([0.1], [0.0, 1.0], r"\(1,\) and \(2,\)"),
        ([], [], "for each of the same items"),
    ],
)
def test_what_has_no_area_is_said(unsure, other, message):
    with pytest.raises(ViewError, match=message):
        auroc(torch.tensor(unsure), torch.tensor(other))


def test_a_curve_of_numbers_that_are_none_is_refused():
    with pytest.raises(ViewError, match="infinite or NaN"):
        risk_coverage(torch.tensor([0.1, 0.2]), torch.tensor([0.0, float("inf")]))
