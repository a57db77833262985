"""A tensor of which only shape, type and device are there until an operation needs the rest."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

FROM_OUTSIDE = {
    *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "layout")),
    *(getattr(Tensor, name).__get__ for name in ("is_cuda", "is_sparse", "is_quantized")),
    *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.__hash__),
    *(Tensor.is_floating_point, torch.is_floating_point, Tensor.is_complex, torch.is_complex),
    *(torch.numel, Tensor.element_size, Tensor.ndimension),
}
"""What can be asked of a tensor without its numbers."""

_NEEDS_GRADIENT = Tensor.requires_grad.__get__  # pyright: ignore


class Deferred(Tensor):
    """A tensor that is made by the first operation on it, with its graph.

    Everything that takes tensors takes it, and finds the numbers that it would have found. Its
    shape, type and device are known before; changing its type puts it off still.

    >>> later = Deferred(lambda: torch.ones(2) + 1, (2,), torch.float32, torch.device("cpu"))
    >>> later.shape, later.untouched
    (torch.Size([2]), True)
    >>> later * 3, later.untouched
    (tensor([6., 6.]), False)

    Args:
        make: makes it; called once.
        shape, dtype, device: what it will have.
        graded: whether it will have a gradient.
    """

    @staticmethod
    def __new__(
        cls,
        make: Callable[[], Tensor],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        graded: bool = True,
    ) -> Self:  # pyright: ignore[reportGeneralTypeIssues]
        return Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=device)  # pyright: ignore

    def __init__(
        self,
        make: Callable[[], Tensor],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        graded: bool = True,
    ) -> None:
        self.make, self.graded = make, graded
        self.made: Tensor | None = None

    @property
    def untouched(self) -> bool:
        """Whether nothing has looked at it yet."""
        return self.made is None

    def present(self) -> Tensor:
        """The tensor itself, made now if it is not there."""
        if self.made is None:
            # Whoever looks first may do so without gradients; others want the graph.
            with torch.set_grad_enabled(self.graded):
                self.made = self.make()
        return self.made

    def later(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Deferred | None":
        """What an operation gives that can be put off, too; None where it cannot."""
        if func in (Tensor.float, Tensor.to) and (dtype := converted(func, args, kwargs)):
            made = lambda: self.present().to(dtype)  # noqa: E731
            return Deferred(made, tuple(self.shape), dtype, self.device, self.graded)
        return None

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, first = kwargs or {}, args[0] if args else None
        if func in FROM_OUTSIDE:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if isinstance(first, Deferred) and first.untouched:
            if func == _NEEDS_GRADIENT:
                return first.graded
            if (put_off := first.later(func, args, kwargs)) is not None:
                return put_off
        args, kwargs = pytree.tree_map_only(Deferred, Deferred.present, (args, kwargs))
        return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # Reached from C++ alone, below autograd.
        given = pytree.tree_map_only(Deferred, lambda x: x.present().detach(), (args, kwargs or {}))
        return func(*given[0], **given[1])


def converted(func: Any, args: tuple[Any, ...], kwargs: Any) -> torch.dtype | None:
    """The type of numbers that a conversion asks for, if it asks for nothing else."""
    asked = (torch.float32,) if func is Tensor.float else args[1:]
    if len(asked) != 1 or kwargs or not isinstance(asked[0], torch.dtype):
        return None
    return asked[0] if asked[0].is_floating_point else None
