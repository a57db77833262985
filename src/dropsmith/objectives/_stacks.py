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


def stacks_of(
    views: Views, layers: tuple[int, ...] | None, stop_gradient: int | None
) -> list[Stack]:
    """Each stack of blocks, in the rows that all views share.

    Args:
        views: with their layers.
        layers: which blocks of each stack, by number; all where None.
        stop_gradient: the view that is a constant, or None.

    Raises:
        ObjectiveError: the views hold no layers, not the same ones, or none of such a number.
    """
    if len(views.layers) != len(views):
        raise ObjectiveError(
            "these views hold no layers to compare\n"
            "  make them with views(model, batch, reads=objective.reads)"
        )
    names = list(dict.fromkeys(layer.stack for layer in views.layers[0]))
    return [_stack(name, views, layers, stop_gradient) for name in names]


def _stack(
    name: str, views: Views, numbers: tuple[int, ...] | None, stop_gradient: int | None
) -> Stack:
    layers_by_view = [
        _choose_layers([layer for layer in layers if layer.stack == name], name, numbers)
        for layers in views.layers
    ]
    if len({tuple(layer.name for layer in layers) for layers in layers_by_view}) > 1:
        raise ObjectiveError(
            f"not the same blocks of {name!r} ran in every view, so they cannot be compared\n"
            "  turn the model's layer drop off, or stack the views"
        )
    return Stack(
        name,
        tuple(
            tuple(_leading(layer, views, view, view == stop_gradient) for layer in layers)
            for view, layers in enumerate(layers_by_view)
        ),
    )


def _choose_layers(
    layers: Sequence[Layer], stack: str, numbers: tuple[int, ...] | None
) -> list[Layer]:
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


def _leading(layer: Layer, views: Views, view: int, is_constant: bool) -> Layer:
    """The rows of a layer that all views share."""

    def cut(x: Tensor | None) -> Tensor | None:
        x = cut_rows(x, views, view)
        return x.detach() if is_constant and x is not None else x

    def cut_attention(
        inputs: attention_divergence.AttentionInputs | Tensor,
    ) -> attention_divergence.AttentionInputs | Tensor:
        if isinstance(inputs, Tensor):
            return cut(inputs)  # pyright: ignore[reportReturnType]
        mask = inputs.mask
        if mask is not None:
            has_no_rows = mask.ndim < 4 or len(mask) == 1
            mask = (mask.detach() if is_constant else mask) if has_no_rows else cut(mask)
        return replace(inputs, query=cut(inputs.query), key=cut(inputs.key), mask=mask)

    attention = tuple((owner, cut_attention(inputs)) for owner, inputs in layer.attention)
    return replace(layer, hidden=cut(layer.hidden), attention=attention)


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
