"""Lazy logits of a linear head, which hold the hidden states and the weight."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.errors import KernelError
from dropsmith.kernels.lazy_logits.lazy_tensor import LazyLogits, LazyTensor, target_dtype


@dataclass(frozen=True, eq=False)
class Head:
    """A linear head at the time of its call.

    Args:
        weight: `[classes, width]`.
        bias: `[classes]`, or None.
        dtype: the type of its products, which under autocast is not that of the weight.
        version: the version of the weight, which counts its changes in place.
    """

    weight: Tensor
    bias: Tensor | None
    dtype: torch.dtype
    version: int

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> "Head":
        """The head, with the present type of autocast."""
        kind = weight.device.type
        auto = torch.is_autocast_enabled(kind) and weight.dtype.is_floating_point
        dtype = torch.get_autocast_dtype(kind) if auto else weight.dtype
        return cls(weight, bias, dtype, weight._version)

    def cast(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias in the type of the product."""
        bias = self.bias if self.bias is None else self.bias.to(self.dtype)
        return self.weight.to(self.dtype), bias

    def is_same(self, other: "Head") -> bool:
        """Say whether two calls had the same head, unchanged in between."""
        bias, other_bias = self.bias, other.bias
        biases = bias is other_bias or (
            bias is not None and other_bias is not None and torch.equal(bias, other_bias)
        )
        return self.weight is other.weight and self.version == other.version and biases

    def scores(self, hidden: Tensor) -> Tensor:
        """The scores of hidden states; `KernelError` if the weight has changed since the call."""
        if self.weight._version != self.version:
            raise KernelError(
                "these logits are computed at their first use, and the head's weight has changed "
                "since the forward pass\n  use the logits before the optimiser's step, or compute "
                'them in every step: consistent(..., head="plain")'
            )
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(hidden, *self.cast())


class HeadScores(LazyLogits):
    """The scores of a head for some hidden states, computed at their first use.

    Slices, reshapes and conversions of them, a constant that is added to the classes, and their
    cross-entropy are lazy as well.

    >>> head = Head.of(torch.eye(3), None)
    >>> scores = HeadScores.of(torch.ones(4, 5, 3), head)
    >>> flat = scores[:, 1:].reshape(-1, 3)
    >>> flat.hidden.shape, scores.is_pending
    (torch.Size([16, 3]), True)
    >>> float(flat.sum())
    48.0

    Args:
        hidden: the input of the head, `[..., width]`, in the type of its product.
        head: the head.
        source: the scores from which an operation made these; None for those of the head.
    """

    hidden: Tensor
    head: Head
    source: "HeadScores | None"

    @classmethod
    def of(cls, hidden: Tensor, head: Head) -> "HeadScores":
        """The scores of hidden states."""
        hidden = hidden.to(head.dtype)
        return cls._with(hidden, head, head.dtype, lambda: head.scores(hidden))

    @classmethod
    def _with(
        cls, hidden: Tensor, head: Head, dtype: torch.dtype, compute: Any, source: Any = None
    ) -> "HeadScores":
        inputs = (hidden, head.weight) if head.bias is None else (hidden, head.weight, head.bias)
        needs_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
        sizes = (*hidden.shape[:-1], len(head.weight))
        new = lambda: cls(compute, sizes, dtype, hidden.device, needs_gradient)  # noqa: E731
        scores = _LazyGraph.apply(new, hidden, head.weight, head.bias) if needs_gradient else new()
        scores.hidden, scores.head, scores.source = hidden, head, source
        return scores

    @property
    def is_pending(self) -> bool:
        return self.result is None and (self.source is None or self.source.is_pending)

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return (self.hidden,)

    def alike(self, other: LazyLogits) -> bool:
        if not isinstance(other, HeadScores) or self.shape != other.shape:
            return False
        exact = torch.promote_types(self.dtype, self.head.dtype) == self.dtype
        return exact and self.head.is_same(other.head)

    def _cut(self, sizes: list[int], dim: int) -> list[LazyLogits]:
        parts = self.hidden.split(sizes, dim)
        return [HeadScores.of(part, self.head)._cast(self.dtype) for part in parts]

    def lazy_result(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> LazyTensor | None:
        if func is F.cross_entropy:
            return self._cross_entropy(func, args, kwargs)
        operands = self._operate(func, args, kwargs)
        if operands is None:
            return None
        compute = lambda: func(self.materialise(), *args[1:], **kwargs)  # noqa: E731
        return HeadScores._with(*operands, compute, self)

    def _operate(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Tensor, Head, torch.dtype] | None:
        """Hidden states, head and type of the result of an operation, if that can stay lazy."""
        if func in (Tensor.float, Tensor.to):
            dtype = target_dtype(func, args, kwargs)
            return (self.hidden, self.head, dtype) if dtype else None
        if func is Tensor.contiguous and len(args) == 1 and not kwargs:
            return self.hidden, self.head, self.dtype
        arguments = list(args[1:])
        if kwargs or not arguments:
            return None
        if func in (Tensor.view, Tensor.reshape):
            hidden = self._reshape(
                arguments[0] if isinstance(arguments[0], tuple | list) else arguments
            )
            return (hidden, self.head, self.dtype) if hidden is not None else None
        if func is Tensor.__getitem__ and (index := leading(arguments[0], self.ndim)) is not None:
            return self.hidden[index], self.head, self.dtype
        if func in _ADDITIONS and len(arguments) == 1:
            head = self._add_bias(arguments[0])
            return (self.hidden, head, self.dtype) if head is not None else None
        return None

    def _reshape(self, sizes: Sequence[Any]) -> Tensor | None:
        if not all(isinstance(n, int) for n in sizes) or list(sizes[-1:]) != [self.shape[-1]]:
            return None
        return self.hidden.reshape(*sizes[:-1], self.hidden.shape[-1])

    def _add_bias(self, constant: Any) -> Head | None:
        """The head with a constant added to its classes, as in Marian and BART."""
        if (
            not isinstance(constant, Tensor)
            or constant.requires_grad
            or self.dtype != constant.dtype
        ):
            return None
        if constant.numel() != self.shape[-1] or constant.shape[-1:] != self.shape[-1:]:
            return None
        bias, constant = self.head.bias, constant.reshape(-1)
        return replace(self.head, bias=constant.clone() if bias is None else bias + constant)

    def _cross_entropy(self, func: Any, args: Any, kwargs: Any) -> LazyTensor | None:
        if kwargs.get("reduction", "mean") not in ("mean", "sum") or len(args) > 2:
            return None
        # Autocast runs it in float32.
        auto = torch.is_autocast_enabled(self.device.type)
        dtype = torch.promote_types(self.dtype, torch.float32) if auto else self.dtype
        compute = lambda: func(self.materialise(), *args[1:], **kwargs).to(dtype)  # noqa: E731
        return LazyTensor(compute, (), dtype, self.device, self.needs_gradient)

    def _cast(self, dtype: torch.dtype) -> "HeadScores":
        return self if dtype == self.dtype else self.to(dtype)  # pyright: ignore


class _LazyGraph(torch.autograd.Function):
    """The graph of lazy scores, for functions that take them without using their numbers.

    Every autograd function in Python does so: it reads the graph of its arguments first.
    """

    @staticmethod
    def forward(
        ctx: Any, new: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None
    ) -> HeadScores:
        ctx.save_for_backward(hidden, weight)
        ctx.bias = None if bias is None else bias.dtype
        return new()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        hidden, weight = ctx.saved_tensors
        grad = grads[0].flatten(0, -2).to(hidden.dtype)
        to_hidden = (grad @ weight.to(hidden.dtype)).view_as(hidden)
        to_weight = (grad.t() @ hidden.flatten(0, -2)).to(weight.dtype)
        return None, to_hidden, to_weight, None if ctx.bias is None else grad.sum(0).to(ctx.bias)


_ADDITIONS = (Tensor.add, Tensor.__add__, torch.add)


def leading(index: Any, dims: int) -> tuple[Any, ...] | None:
    """An index of slices that keeps the last dimension whole; None for any other index."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(part is Ellipsis or isinstance(part, slice) for part in parts):
        return None
    if Ellipsis in parts:
        position, missing = parts.index(Ellipsis), dims - len(parts) + 1
        parts = (*parts[:position], *(slice(None),) * missing, *parts[position + 1 :])
    if len(parts) > dims or (len(parts) == dims and parts[-1] != slice(None)):
        return None
    return parts
