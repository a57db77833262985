"""The meaning of labels that are not integers: probabilities of classes, or separate labels."""

import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError

_NEVER_COUNTED = -100


def are_distributions(logits: Tensor, labels: Tensor) -> bool:
    """Say by their values whether floating labels `[..., classes]` are probabilities of classes.

    Zeros and ones are separate labels where some item has another number of ones than one, and
    what does not sum to one is separate labels as well.

    Raises:
        ObjectiveError: they may be either, or they are neither.
    """
    if labels.shape != logits.shape:
        raise ObjectiveError(
            f"labels of {labels.dtype} and shape {tuple(labels.shape)} do not fit scores of shape "
            f"{tuple(logits.shape)}\n  give the number of each item's class as an integer, or a "
            "probability for each score, the classes in the last dimension"
        )
    if logits.shape[-1] == 1:
        return False
    items = labels[~(labels == _NEVER_COUNTED).any(-1)].detach()
    if not len(items):
        return False
    # A sum of n roundings to a half precision is about one unit in the last place off.
    tolerance = max(1e-3, 2 * torch.finfo(labels.dtype).eps)
    sums = (items.sum(-1, dtype=torch.float32) - 1).abs() <= tolerance
    yes_or_no = bool(((items == 0) | (items == 1)).all())
    if not bool(((items >= 0) & (items <= 1)).all()):
        raise ObjectiveError(
            "labels that are not integers are probabilities, in [0, 1]; these run from "
            f'{float(items.min()):.3g} to {float(items.max()):.3g}\n  for values: loss="regression"'
        )
    if labels.ndim > 2 and not bool(sums.any()):
        _check_last(labels, tolerance)
    if bool(sums.all()) and not yes_or_no:
        return True
    if not bool(sums.any()) or (yes_or_no and not bool(sums.all())):
        return False
    raise ObjectiveError(
        f"these labels of {labels.dtype} may be probabilities of classes or separate labels: "
        + ("each item has a single 1" if yes_or_no else "those of some items sum to one")
        + '\n  say which: loss="soft_classification" for one class among several, '
        'loss="multi_label" for labels that are each on or off'
    )


def _check_last(labels: Tensor, tolerance: float) -> None:
    """Refuse probabilities that sum to one over dimension 1."""
    sums = labels.detach().sum(1, dtype=torch.float32)
    if bool(((sums - 1).abs() <= tolerance).all()):
        raise ObjectiveError(
            f"labels of shape {tuple(labels.shape)} sum to one over dimension 1; here the classes "
            "are in the last\n  move both: labels.movedim(1, -1), and consistent(..., "
            "scores=lambda output: output.movedim(1, -1))"
        )
