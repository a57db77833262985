"""R-Drop: symmetric KL divergence between the outputs of noisy views (Liang, Wu et al. 2021)."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from torch import Tensor

from dropsmith.errors import ObjectiveError, did_you_mean, excerpt
from dropsmith.objectives._agreement import ConsistencyObjective, ConsistencyTerm
from dropsmith.objectives._objective import JSON_WORDS, check_number, check_view
from dropsmith.objectives.distances import (
    Distance,
    jensen_shannon,
    kl,
    mutual_kl,
    per_label,
    squared_error,
    symmetric_kl,
)
from dropsmith.terms import KINDS_IN_RECORDS, OUTPUT_KINDS, OutputKind, output_kind

Divergence = Literal["symmetric", "forward", "backward", "js"]

TARGETS = "targets"


@dataclass(frozen=True, kw_only=True, repr=False)
class RDrop(ConsistencyObjective):
    """R-Drop (Liang, Wu et al. 2021, arXiv 2106.14448, section 2): symmetric KL between two views.

    For logits z₁, z₂ of two views, `[items, classes]`, with p = softmax(z₁) and q = softmax(z₂):

        loss = ½ (CE(z₁, y) + CE(z₂, y)) + alpha / 2 × mean over items of ½ (KL(p‖q) + KL(q‖p))

    An item is an example, or a token that is not padding. `alpha` is the paper's α: this is the
    paper's loss, CE₁ + CE₂ + α · ½ (KL + KL), divided by two, so that its scale, and with it the
    best learning rate, stays that of the task loss. Published code often defines its coefficient
    differently: see `objectives.conventions`. Label smoothing and class weights change CE alone.

    With `alpha=0` the term is computed and logged, and has no effect on training.

    >>> RDrop(alpha=5)
    RDrop(alpha=5)
    >>> RDrop(alpha=1, warmup=100).weight_at(50)
    0.25

    Args:
        alpha: the paper's coefficient; 0.1 to 5 in the paper.
        kind: the meaning of the outputs: `"classification"` (one class among several, softmax),
            `"multi_label"` (a sigmoid for each label; an item is a label) or `"regression"` (the
            squared difference in place of KL, as in the paper's appendix; an item is a value).
        divergence: in place of ½ (KL(p‖q) + KL(q‖p)), with the same alpha: `"forward"` for
            KL(p‖q), p of the earlier view, `"backward"` for KL(q‖p), or `"js"` for Jensen-Shannon.
        stop_gradient: None, as in the paper, for gradients through both arguments of each KL; the
            number of a view that is a constant in the term; or `"targets"` for a constant first
            argument of each KL.
    """

    alpha: float
    kind: OutputKind = field(default="classification", metadata={JSON_WORDS: KINDS_IN_RECORDS})
    divergence: Divergence = "symmetric"
    stop_gradient: int | Literal["targets"] | None = None

    def __post_init__(self) -> None:
        check_number(self, "alpha")
        object.__setattr__(self, "kind", output_kind(self.kind))
        _check_word("kind", self.kind, OUTPUT_KINDS)
        _check_word("divergence", self.divergence, tuple(_DIVERGENCES))
        super().__post_init__()
        if self.stop_gradient != TARGETS:
            check_view(self, self.stop_gradient)
        elif self.kind == "regression" or self.divergence == "js":
            raise ObjectiveError(
                f'{self}: stop_gradient="targets" is for the first argument of a KL divergence, '
                "and this term has none\n  give the number of a view, such as stop_gradient=0"
            )
        if self.kind == "regression" and self.divergence != "symmetric":
            raise ObjectiveError(
                f'{self}: with kind="regression" the term is the squared difference\n'
                "  leave divergence out"
            )

    @property
    def consistency_term(self) -> ConsistencyTerm:
        view = self.stop_gradient
        return ConsistencyTerm(
            weight=self.alpha / 2,
            distance=self._distance(),
            stop_gradient=view if isinstance(view, int) else None,
        )

    def _distance(self) -> Distance:
        if self.kind == "regression":
            return squared_error
        choices = _WITH_TARGETS_HELD if self.stop_gradient == TARGETS else _DIVERGENCES
        distance = choices.get(self.divergence, symmetric_kl)
        return partial(per_label, distance) if self.kind == "multi_label" else distance


def _backward_kl(a: Tensor, b: Tensor) -> Tensor:
    return kl(b, a)


def _held_kl(a: Tensor, b: Tensor) -> Tensor:
    return kl(a.detach(), b)


def _held_backward_kl(a: Tensor, b: Tensor) -> Tensor:
    return kl(b.detach(), a)


_DIVERGENCES: dict[str, Distance] = {
    "symmetric": symmetric_kl,
    "forward": kl,
    "backward": _backward_kl,
    "js": jensen_shannon,
}
_WITH_TARGETS_HELD: dict[str, Distance] = {
    "symmetric": mutual_kl,
    "forward": _held_kl,
    "backward": _held_backward_kl,
}


def _check_word(name: str, word: object, choices: tuple[str, ...]) -> None:
    if word not in choices:
        raise ObjectiveError(
            f"RDrop: no {name} is called {excerpt(word)}\n  there are: {', '.join(choices)}"
            + did_you_mean(word, choices)
        )
