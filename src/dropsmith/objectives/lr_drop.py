"""LR-Drop: consistency between views in every layer, and not in the output alone."""

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from dropsmith.activations import Reads
from dropsmith.errors import ObjectiveError, did_you_mean, excerpt
from dropsmith.objectives._layers import LayerAgreement, layer_terms
from dropsmith.objectives._objective import (
    JSON_WORDS,
    LossFunction,
    Objective,
    check_fraction,
    check_number,
    check_view,
    make_tuple,
)
from dropsmith.objectives.r_drop import RDrop
from dropsmith.passes import Views
from dropsmith.terms import KINDS_IN_RECORDS, Loss, OutputKind, Terms, output_kind

HIDDEN, ATTENTION = ("hidden",), ("attention", "cross")

_CHOICES: dict[str, tuple[str, ...]] = {
    "hidden_at": ("feed-forward", "block"),
    "hidden_distance": ("squared", "cosine"),
    "attention_distance": ("squared", "symmetric_kl", "jensen_shannon"),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class LRDrop(Objective):
    """LR-Drop (Ni et al. 2024, arXiv 2402.16361): consistency of hidden states and attention, too.

        loss = mean task loss + ½ (hidden × H + attention × A + output × O)

    H is the mean distance between the hidden states of two views, `[batch, time, unit]`, over
    Transformer blocks, A that between their attention probabilities, `[batch, head, query, key]`,
    before their dropout, and O is R-Drop's term on the outputs. Each is a mean over all pairs of
    views, over blocks and over tokens that are not padding, so that no coefficient depends on
    depth, batch size or padding.

    The three parts are the paper's. No code of its authors is public, and these choices are this
    library's: the total CE₁ + CE₂ + ... is halved, as in `RDrop`, whose alpha `output` is; the mean
    over layers; every distance; all defaults. The hidden states are those of the feed-forward part,
    before they are dropped, added and normalised.

    Blocks are found by where attention runs, see `dropsmith.activations.read_blocks`. Fused
    attention stays fused: agreement is computed again from queries and keys, with memory that
    grows with the length and not with its square. A model that writes its probabilities out is
    compared by these. A block whose attention cannot be read is an error.

    Padding counts in no mean: tokens that attention is masked for, that the batch's
    `attention_mask` leaves out, or, in a decoder that looks at an encoder, that have no label (if
    it classifies whole texts: that the encoder does not read).

    Views that share a trunk are the same below its end. Agreement there is exactly 0 and is not
    counted: the means are over the layers above, and `layers` counts all of them.

    A part with coefficient 0 is not computed; with `output=0` the outputs' term is computed and
    logged, and has no effect on training.

    >>> LRDrop(hidden=0.5, layers=(-1,))
    LRDrop(hidden=0.5, layers=(-1,))
    >>> LRDrop(hidden=0, attention=0, output=5).reads is None
    True

    Args:
        hidden: coefficient of the distance of hidden states, H.
        attention: coefficient of the distance of attention, A.
        output: coefficient of the divergence of outputs, O: the alpha of `RDrop`.
        kind: what the outputs are, as in `RDrop`.
        hidden_at: `"feed-forward"` for the output of a block's feed-forward part, or `"block"` for
            that of the whole block.
        hidden_distance: `"squared"`, a mean over tokens and units, or `"cosine"`, the mean over
            tokens of 1 − cos.
        attention_distance: `"squared"`, a mean over pairs of a query and a key it may look at;
            probabilities are smaller in longer texts, and so is this. `"symmetric_kl"` or
            `"jensen_shannon"`, means over queries, do not shrink so.
        attention_fraction: the share of the queries, in (0, 1], from which A is estimated. They are
            drawn anew by the step, for each block, the same for all rows, heads and views. The
            estimate has A as its mean, so training has the same expected gradient at a smaller
            cost; the time of a step no longer grows with the square of the length.
        cross: whether A includes a decoder's attention to its encoder.
        layers: the numbers of the blocks in each stack, negative from the end; None for all.
        blocks: the modules that are the blocks, by name or glob, where they are not found.
        stop_gradient: the view that is a constant in all parts, or None.
        views: the number of forward passes over each batch; every pair is compared.
        warmup: the number of steps over which the weights rise linearly from 0.
        every: the parts are computed at each step that is divisible by this; the other steps have
            one view.
        batch_fraction: the leading share of the batch that later views see, in (0, 1].
    """

    hidden: float = 1.0
    attention: float = 1.0
    output: float = 1.0
    kind: OutputKind = field(default="classification", metadata={JSON_WORDS: KINDS_IN_RECORDS})
    hidden_at: Literal["feed-forward", "block"] = "feed-forward"
    hidden_distance: Literal["squared", "cosine"] = "squared"
    attention_distance: Literal["squared", "symmetric_kl", "jensen_shannon"] = "squared"
    attention_fraction: float = 1.0
    cross: bool = True
    layers: tuple[int, ...] | None = None
    blocks: str | None = None
    stop_gradient: int | None = None
    views: int = 2
    warmup: int = 0
    every: int = 1
    batch_fraction: float = 1.0  # pyright: ignore[reportIncompatibleMethodOverride] - here it is a setting

    def __post_init__(self) -> None:
        for name in ("hidden", "attention", "output"):
            check_number(self, name)
        for name, words in _CHOICES.items():
            if (word := getattr(self, name)) not in words:
                raise ObjectiveError(
                    f"LRDrop: no {name} is called {excerpt(word)}\n  there are: {', '.join(words)}"
                    + did_you_mean(word, words)
                )
        object.__setattr__(self, "kind", output_kind(self.kind))
        if self.layers is not None:
            make_tuple(self, "layers")
        check_fraction(self, "attention_fraction")
        if self.attention_fraction < 1 and not self.attention:
            raise ObjectiveError(
                f"LRDrop: attention_fraction={self.attention_fraction} is a share of queries, of a "
                "part that attention=0 leaves out\n"
                "  give attention a coefficient above 0, or leave attention_fraction out"
            )
        if not isinstance(self.cross, bool) or not isinstance(self.blocks, str | None):
            raise ObjectiveError(
                "LRDrop: cross is True or False, and blocks a name or None; "
                f"got {excerpt(self.cross)} and {excerpt(self.blocks)}"
            )
        _check_layers(self.layers)
        _ = self._outputs  # making it checks the settings that it shares
        check_view(self, self.stop_gradient)

    @property
    def reads(self) -> Reads | None:
        if not self.hidden and not self.attention:
            return None
        return Reads(
            hidden=self.hidden_at if self.hidden else None,
            attention=bool(self.attention),
            blocks=self.blocks,
        )

    def views_at(self, step: int) -> int:
        return self._outputs.views_at(step)

    @property
    def depends_on_step(self) -> bool:
        return self._outputs.depends_on_step

    def terms(self, views: Views, loss: LossFunction) -> Terms:
        """As in `RDrop`, with `hidden`, `attention` and `cross` beside `consistency`.

        Where a model has several stacks of blocks, each has terms of its own, named after it.
        """
        losses: list[Loss] = []

        def remembering(output: Any, batch: Any) -> Loss:
            losses.append(loss(output, batch))
            return losses[-1]

        terms = self._outputs.terms(views, remembering)
        if self.reads is not None and len(views) > 1:
            terms |= layer_terms(views, self._agreement, losses[0].mask)
        return terms

    def total(self, terms: Terms, step: int) -> Tensor:
        value = self._outputs.total(terms, step)
        if self.views_at(step) == 1:
            return value
        ramp = min(1.0, step / self.warmup) if self.warmup else 1.0
        for weight, parts in ((self.hidden, HIDDEN), (self.attention, ATTENTION)):
            if weight:
                value = value + weight * ramp / 2 * self._mean(terms, parts)
        return value

    def _mean(self, terms: Terms, parts: tuple[str, ...]) -> Tensor:
        """Every stack weighs the same, and so does a decoder's attention to its encoder."""
        values = [term.value for name, term in terms.items() if name.split(" ")[0] in parts]
        if not values:
            raise ObjectiveError(
                f"{self} needs a term {parts[0]!r}, there are: {', '.join(terms)}\n"
                "  make the views with views(model, batch, reads=objective.reads)"
            )
        return sum(values[1:], values[0]) / len(values)

    @property
    def _outputs(self) -> RDrop:
        return RDrop(
            alpha=self.output,
            kind=self.kind,
            stop_gradient=self.stop_gradient,
            views=self.views,
            warmup=self.warmup,
            every=self.every,
            batch_fraction=self.batch_fraction,
        )

    @property
    def _agreement(self) -> LayerAgreement:
        return LayerAgreement(
            hidden=self.hidden_distance if self.hidden else None,
            attention=self.attention_distance if self.attention else None,
            cross=self.cross,
            layers=self.layers,
            stop_gradient=self.stop_gradient,
            fraction=self.attention_fraction,
        )


def _check_layers(layers: tuple[int, ...] | None) -> None:
    numbers = all(isinstance(n, int) and not isinstance(n, bool) for n in layers or ())
    if layers is not None and not (layers and numbers):
        raise ObjectiveError(f"LRDrop: layers are numbers such as (0, -1), got {excerpt(layers)}")
