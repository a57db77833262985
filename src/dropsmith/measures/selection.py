"""Selective prediction: how wrong a model is on what it keeps, when it may leave the rest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.errors import ViewError
from dropsmith.instances import check_type


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskCoverage:
    """The mean loss of the surest items, for every number of them that is kept.

    Args:
        coverage: the share of items that is kept, `[items]`, rising to 1.
        risk: the mean loss of those, `[items]`; the last is that of all.
        area: under the curve (AURC): the mean of `risk`; 0 is the least for a loss that is 0 where
            the model is right.
        excess: `area` less that of the best order of the same losses (Geifman, Uziel & El-Yaniv
            2019), 0 where every loss is below those of all less sure items.
    """

    coverage: Tensor
    risk: Tensor
    area: float
    excess: float


def risk_coverage(uncertainty: Tensor, loss: Tensor) -> RiskCoverage:
    """The risk–coverage curve of an uncertainty (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).

    Items of equal uncertainty come in no order: each counts with the mean loss of all of them, so
    that the curve does not depend on the order in which they were given.

    >>> curve = risk_coverage(torch.tensor([0.1, 0.9, 0.2]), torch.tensor([0.0, 1.0, 0.0]))
    >>> curve.risk
    tensor([0.0000, 0.0000, 0.3333], dtype=torch.float64)
    >>> round(curve.area, 4), curve.excess
    (0.1111, 0.0)

    Args:
        uncertainty: of each item, such as `prediction.entropy` or `prediction.mutual_information`,
            of any shape.
        loss: of each item, of the same shape, such as 1 where the model is wrong and 0 elsewhere.

    Raises:
        ViewError: the shapes differ, there is no item, or a number is not finite.
    """
    unsure, losses = _numbers(uncertainty, loss, "loss")
    count = torch.arange(1, len(losses) + 1, dtype=torch.float64)
    risk = _without_order(unsure, losses).cumsum(0) / count
    best = losses.sort().values.cumsum(0) / count
    area = float(risk.mean())
    return RiskCoverage(
        coverage=count / len(losses), risk=risk, area=area, excess=area - float(best.mean())
    )


def auroc(uncertainty: Tensor, positive: Tensor) -> float:
    """How well an uncertainty tells some items from the others: the area under its ROC curve.

    It is the chance that an item which is positive has a larger uncertainty than one which is not,
    0.5 for no relation (Hendrycks & Gimpel 2017). Positive are the items that are predicted wrong,
    or inputs that are foreign to the training data.

    >>> auroc(torch.tensor([0.1, 0.9, 0.2, 0.3]), torch.tensor([False, True, False, True]))
    1.0

    Args:
        uncertainty: of each item, of any shape.
        positive: which items are positive; zeros and ones, or booleans, of the same shape.

    Raises:
        ViewError: the shapes differ, or all items are positive, or none is.
    """
    unsure, truth = _numbers(uncertainty, positive, "positive")
    if not bool(((truth == 0) | (truth == 1)).all()):
        raise ViewError("positive says of each item whether it is: it holds zeros and ones")
    if float(truth.sum()) in (0.0, float(len(truth))):
        every = "every" if truth.sum() else "no"
        raise ViewError(f"{every} item is positive, so that there are no two kinds to tell apart")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth.numpy(), unsure.numpy()))


def _without_order(unsure: Tensor, losses: Tensor) -> Tensor:
    """The losses from the surest item on; among equals, the mean of theirs."""
    order = unsure.argsort(stable=True)
    _, group, counts = torch.unique_consecutive(
        unsure[order], return_inverse=True, return_counts=True
    )
    sums = torch.zeros(len(counts), dtype=torch.float64).index_add(0, group, losses[order])
    return (sums / counts)[group]


def _numbers(uncertainty: Tensor, other: Tensor, name: str) -> tuple[Tensor, Tensor]:
    for argument, value in (("uncertainty", uncertainty), (name, other)):
        check_type(argument, value, Tensor, "a tensor")
    if uncertainty.shape != other.shape or not uncertainty.numel():
        raise ViewError(
            f"uncertainty and {name} have one number for each of the same items, got shapes "
            f"{tuple(uncertainty.shape)} and {tuple(other.shape)}"
        )
    numbers = [value.detach().cpu().double().flatten() for value in (uncertainty, other)]
    if not all(bool(value.isfinite().all()) for value in numbers):
        raise ViewError(f"uncertainty and {name} are finite numbers; some are infinite or NaN")
    return numbers[0], numbers[1]
