"""FixMatch: confident pseudo-labels of rows without a label (Sohn et al. 2020)."""

from dataclasses import dataclass

from torch import Tensor

from dropsmith.objectives._confident_targets import AverageOver, ConfidentTargets
from dropsmith.objectives._objective import check_number
from dropsmith.objectives._symmetric import wide
from dropsmith.objectives.distances import Distance


@dataclass(frozen=True, kw_only=True, repr=False)
class FixMatch(ConfidentTargets):
    """FixMatch (Sohn et al. 2020, arXiv 2001.07685, section 2.2): pseudo-labels above a threshold.

    For logits z₁ of rows weakly augmented or as they are, and z₂ of the same rows strongly
    augmented, `[items, classes]`, with the pseudo-label ŷ = argmax z₁, which is a constant:

        loss = CE(z₁, y) + weight × mean over rows without a label of [max p ≥ confidence] CE(z₂, ŷ)

    where p = softmax(z₁). The mean is over all rows without a label, as in the paper's equation 4.

    >>> FixMatch()
    FixMatch()

    Args:
        weight: the factor of the term, λ; 1 in the paper.
        confidence: the threshold τ, in [0, 1]; 0.95 in the paper.
        average_over: the rows that the term is a mean over: all `unlabelled` ones, or the
            `confident` ones alone.
        term_rows: the rows that the term counts: `unlabelled`, `all` or `labelled`.
        augment: whether view 1 sees the rows augmented, where the task has an augmentation; else
            the two views differ by their noise alone.
    """

    weight: float = 1.0
    confidence: float = 0.95
    average_over: AverageOver = "unlabelled"

    def __post_init__(self) -> None:
        check_number(self, "weight")
        super().__post_init__()

    @property
    def _weight(self) -> float:
        return self.weight

    @property
    def _distance(self) -> Distance:
        return _pseudo_label_loss


def _pseudo_label_loss(target: Tensor, scores: Tensor) -> Tensor:
    log_p = scores.log_softmax(-1, dtype=wide(target, scores))
    return -log_p.gather(-1, target.argmax(-1, keepdim=True)).squeeze(-1)
