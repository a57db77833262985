"""R-Drop: the output distributions of several noisy views should agree (Liang, Wu et al. 2021)."""

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
    """Mean task loss over the views + alpha / 2 × mean over items of ½ (KL(p‖q) + KL(q‖p)).

    `alpha` is the paper's α exactly: this is the paper's total, CE₁ + CE₂ + α · ½ (KL + KL),
    divided by two, so that switching the term on never changes the learning rate. An item is an
    example, or a token that is not padding. Published code often means something else by its
    coefficient: see `objectives.conventions`.

    With alpha 0 the term is measured and not trained on.

    >>> RDrop(alpha=5)
    RDrop(alpha=5)
    >>> RDrop(alpha=1, warmup=100).weight_at(50)
    0.25

    Args:
        alpha: the paper's coefficient, 0.1 to 5 there.
        kind: what the outputs are: `"classification"` (softmax), `"multi_label"` (a sigmoid each;
            an item is a label) or `"regression"` (KL becomes the squared difference, as in the
            paper's appendix; an item is a value).
        divergence: `"symmetric"`, `"forward"` for KL(p‖q) from the earlier view to the later,
            `"backward"` for KL(q‖p), or `"js"` for Jensen-Shannon; each takes the place of
            ½ (KL + KL) under the same alpha.
        stop_gradient: None, as in the paper: gradients reach both sides of each KL; the number of
            a view that is a constant in the term; or `"targets"`: the first argument of each KL is
            a constant.
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
                f'{self}: stop_gradient="targets" holds one side of a KL, here there is none\n'
                "  give the number of the view to hold, such as stop_gradient=0"
            )
        if self.kind == "regression" and self.divergence != "symmetric":
            raise ObjectiveError(
                f"{self}: values have no distribution\n  leave divergence out: the term is the "
                "squared difference"
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
