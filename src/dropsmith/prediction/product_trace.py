"""The products of a forward, and which dimension of its scores their units end up in.

A convolution puts its channels in dimension 1, a product with a matrix its units in the last. What
follows may move them. So the units of a product are turned by one, and the dimension along which
the scores turn with them is theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dropsmith.batches import close
from dropsmith.interception import decode

_CONVOLUTIONS = {
    F.conv1d,
    F.conv2d,
    F.conv3d,
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
}
_UNITS_LAST = {F.linear, F.bilinear, F.embedding, torch.addmm, torch.mm, Tensor.mm, torch.cdist}
_PRODUCTS_OF_TWO = {
    torch.matmul,
    torch.bmm,
    torch.baddbmm,
    torch.einsum,
    Tensor.__matmul__,
    Tensor.bmm,
    Tensor.matmul,
}
_MOST = 8
"""Products, counted from the last, whose units are looked for."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product in a forward.

    Args:
        number: how many were before it.
        result: what it returned.
        axis: the dimension of its units; None where either operand may hold them.
    """

    number: int
    result: Tensor
    axis: int | None


class ProductTrace(TorchFunctionMode):
    """Notes the products of a forward, and may change what one of them returns.

    Args:
        number: of the product whose result is changed; -1 for none.
        change: of its result.
    """

    def __init__(self, number: int = -1, change: Callable[[Tensor], Tensor] = Tensor.clone) -> None:
        super().__init__()
        self.number, self.change = number, change
        self.products: list[Product] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        first = result[0] if isinstance(result, tuple) else result
        if not isinstance(first, Tensor) or first.ndim < 2 or not _is_product(func, args, kwargs):
            return result
        number, axis = len(self.products), _unit_axis(func, args, kwargs, first)
        if number == self.number:
            first = self.change(first)
            result = (first, *result[1:]) if isinstance(result, tuple) else first
        self.products.append(Product(number=number, result=first, axis=axis))
        return result


def unit_axes(run: Callable[[ProductTrace], Tensor]) -> list[int]:
    """The dimensions of scores that may hold the units of the product that made them.

    There are several where products along several dimensions end up in the scores unmixed, and
    none where no product tells.

    Args:
        run: makes the scores of a few rows under a trace, by the same masks at every call.
    """
    trace = ProductTrace()
    scores = run(trace)
    last = trace.products[: -_MOST - 1 : -1]
    for product in last:
        is_all = product.result.shape == scores.shape and torch.equal(product.result, scores)
        if is_all and product.axis is not None and scores.shape[product.axis] == 1:
            return [plain_axis(product.axis, scores.ndim)]
    products = [p for p in last if p.axis is not None and p.result.shape[p.axis] > 1]
    turns = [_turned(run, product, scores) for product in products]
    axes = [axis for _, axis in turns if axis is not None]
    if not axes:
        feeding = [p for p, (changes, _) in zip(products, turns, strict=True) if changes]
        axes = [axis for p in feeding if (axis := _moved(run, p, scores)) is not None]
        # A normalisation or a sum keeps the dimensions as they are, but lets no unit be told.
        if not axes and feeding and feeding[0].result.shape == scores.shape:
            axes = [feeding[0].axis or 0]
    return list(dict.fromkeys(plain_axis(axis, scores.ndim) for axis in axes))


def plain_axis(axis: int, ndim: int) -> int:
    """A dimension as it is shown: -1 for the last, counted from the start for others.

    >>> plain_axis(3, 4), plain_axis(-3, 4)
    (-1, 1)
    """
    return -1 if axis % ndim == ndim - 1 else axis % ndim


def _turned(
    run: Callable[[ProductTrace], Tensor], product: Product, scores: Tensor
) -> tuple[bool, int | None]:
    """Whether turning the units changes the scores, and the dimension that they turn along."""
    units = product.axis
    assert units is not None
    other = run(ProductTrace(product.number, lambda result: result.roll(1, units)))
    if other.shape != scores.shape or close(other, scores):
        return other.shape != scores.shape, None
    axes = [axis for axis in range(scores.ndim) if close(other, scores.roll(1, axis))]
    return True, axes[0] if len(axes) == 1 else None


def _moved(run: Callable[[ProductTrace], Tensor], product: Product, scores: Tensor) -> int | None:
    """The dimension that has one entry alone of those which a change of one unit changes."""
    units = product.axis
    assert units is not None

    def move(result: Tensor) -> Tensor:
        result = result.clone()
        result.select(units, 0).add_(1)
        return result

    changed = run(ProductTrace(product.number, move)) != scores
    single = [axis for axis in range(scores.ndim) if scores.shape[axis] > 1]
    single = [axis for axis in single if len(set(changed.nonzero()[:, axis].tolist())) == 1]
    return single[0] if len(single) == 1 else None


def _is_product(func: Any, args: Any, kwargs: Any) -> bool:
    if func in _CONVOLUTIONS | _UNITS_LAST | _PRODUCTS_OF_TWO:
        return True
    call = decode(func, args, kwargs)
    return call is not None and call.kind in ("attention", "between")


def _unit_axis(func: Any, args: Any, kwargs: Any, result: Tensor) -> int | None:
    if func in _CONVOLUTIONS:
        weight = args[1] if len(args) > 1 else kwargs.get("weight", result)
        return 1 if result.ndim == weight.ndim else 0  # else it has no rows
    if func is torch.baddbmm:
        return None
    if func not in _PRODUCTS_OF_TWO:
        return -1
    if func is torch.einsum:
        return _einsum_axis(args)
    first, second = (*args, *kwargs.values())[:2]
    if _is_table(second):
        return -1
    return -2 if _is_table(first) else None


def _einsum_axis(args: Any) -> int | None:
    """The dimension of an einsum that a table of weights alone brings."""
    equation, *operands = args
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        return None
    inputs, output = equation.replace(" ", "").split("->")
    pairs = list(zip(inputs.split(","), operands, strict=False))
    others = "".join(letters for letters, operand in pairs if not _is_table(operand))
    alone = "".join(letters for letters, operand in pairs if _is_table(operand))
    places = [output.index(x) for x in alone if x in output and x not in others]
    return places[0] if len(places) == 1 else None


def _is_table(operand: Any) -> bool:
    """Say whether an operand is weights, which have no rows of the batch."""
    return isinstance(operand, nn.Parameter) or (isinstance(operand, Tensor) and operand.ndim == 2)
