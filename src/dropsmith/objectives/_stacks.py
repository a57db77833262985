"""The blocks that are compared, stack by stack, in the rows that all views share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from dropsmith.activations import Layer
from dropsmith.errors import ObjectiveError
from dropsmith.kernels import attention_divergence
from dropsmith.passes import Views


@dataclass(frozen=True)
class Stack:
    """The blocks of one stack that are compared: of each view, in order."""

    name: str
    views: tuple[tuple[Layer, ...], ...]


def stacks_of(views: Views, layers: tuple[int, ...] | None, held: int | None) -> list[Stack]:
    """Each stack of blocks, in the rows that all views share.

    Args:
        views: with their layers.
        layers: which blocks of each stack, by number; all where None.
        held: the view that is a constant, or None.

    Raises:
        ObjectiveError: the views hold no layers, not the same ones, or none of such a number.
    """
    if len(views.layers) != len(views):
        raise ObjectiveError(
            "these views hold no layers to compare\n"
            "  make them with views(model, batch, reads=objective.reads)"
        )
    names = list(dict.fromkeys(layer.stack for layer in views.layers[0]))
    return [_stack(name, views, layers, held) for name in names]


def _stack(name: str, views: Views, numbers: tuple[int, ...] | None, held: int | None) -> Stack:
    own = [
        _chosen([layer for layer in layers if layer.stack == name], name, numbers)
        for layers in views.layers
    ]
    if len({tuple(layer.name for layer in layers) for layers in own}) > 1:
        raise ObjectiveError(
            f"not the same blocks of {name!r} ran in every view, so they cannot be compared\n"
            "  turn the model's layer drop off, or stack the views"
        )
    return Stack(
        name,
        tuple(
            tuple(_leading(layer, views, view, view == held) for layer in layers)
            for view, layers in enumerate(own)
        ),
    )


def _chosen(layers: Sequence[Layer], stack: str, numbers: tuple[int, ...] | None) -> list[Layer]:
    if numbers is None:
        return list(layers)
    for number in numbers:
        if not -len(layers) <= number < len(layers):
            raise ObjectiveError(
                f"no layer {number} in {stack!r}: it has {len(layers)}, numbered from 0, "
                "or from -1 backward"
            )
    places = {number % len(layers) for number in numbers}
    return [layer for place, layer in enumerate(layers) if place in places]


def _leading(layer: Layer, views: Views, view: int, held: bool) -> Layer:
    """The rows of a layer that all views share, as a constant if it is held."""

    def change(x: Tensor | None) -> Tensor | None:
        x = cut_rows(x, views, view)
        return x.detach() if held and x is not None else x

    def attention(
        seen: attention_divergence.AttentionInputs | Tensor,
    ) -> attention_divergence.AttentionInputs | Tensor:
        if isinstance(seen, Tensor):
            return change(seen)  # pyright: ignore[reportReturnType]
        mask = seen.mask
        if mask is not None:
            whole = mask.ndim < 4 or len(mask) == 1
            mask = (mask.detach() if held else mask) if whole else change(mask)
        return replace(seen, query=change(seen.query), key=change(seen.key), mask=mask)

    seen = tuple((owner, attention(one)) for owner, one in layer.attention)
    return replace(layer, hidden=change(layer.hidden), attention=seen)


def cut_rows(x: Tensor | None, views: Views, view: int) -> Tensor | None:
    """The rows of one view's tensor that all views share; rows may be folded with others."""
    rows = views.rows if view == 0 else views.shared_rows
    if x is None or not rows or not views.shared_rows or rows == views.shared_rows:
        return x
    return x[: views.shared_rows * (len(x) // rows)]


def leading_batch(views: Views) -> Mapping[str, Any]:
    """The batch by name, in the rows that all views share; empty without names."""
    batch = views.batches[-1]
    return batch if isinstance(batch, Mapping) else {}
