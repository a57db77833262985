"""Tensors with a shape, type and device, whose numbers are computed when they are needed."""

from collections.abc import Callable
from typing import Any, Self, final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

METADATA = {
    *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "layout")),
    *(getattr(Tensor, name).__get__ for name in ("is_cuda", "is_sparse", "is_quantized")),
    *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.__hash__),
    *(Tensor.is_floating_point, torch.is_floating_point, Tensor.is_complex, torch.is_complex),
    *(torch.numel, Tensor.element_size, Tensor.ndimension),
}
"""The attributes of a tensor that need no numbers."""

_REQUIRES_GRAD = Tensor.requires_grad.__get__  # pyright: ignore


class LazyTensor(Tensor):
    """A tensor that the first operation on it computes, with its graph.

    Any function of tensors accepts it and gets the same numbers as from a usual tensor. Shape, type
    and device are known before; a conversion to another type is lazy, too.

    >>> scores = LazyTensor(lambda: torch.ones(2) + 1, (2,), torch.float32, torch.device("cpu"))
    >>> scores.shape, scores.is_pending
    (torch.Size([2]), True)
    >>> scores * 3, scores.is_pending
    (tensor([6., 6.]), False)

    Args:
        compute: computes the tensor; called once.
        shape, dtype, device: of the tensor.
        needs_gradient: whether the tensor will require a gradient.
    """

    @staticmethod
    def __new__(
        cls,
        compute: Callable[[], Tensor],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        needs_gradient: bool = True,
    ) -> Self:  # pyright: ignore[reportGeneralTypeIssues]
        return Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=device)  # pyright: ignore

    def __init__(
        self,
        compute: Callable[[], Tensor],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        needs_gradient: bool = True,
    ) -> None:
        self.compute, self.needs_gradient = compute, needs_gradient
        self.result: Tensor | None = None

    @property
    def is_pending(self) -> bool:
        """True until the tensor is computed."""
        return self.result is None

    def materialise(self) -> Tensor:
        """The tensor, computed at the first call."""
        if self.result is None:
            # The first use may be without gradients, and later ones may need the graph.
            with torch.set_grad_enabled(self.needs_gradient):
                self.result = self.compute()
        return self.result

    def lazy_result(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> "LazyTensor | None":
        """The result of an operation, if that can stay lazy; else None."""
        if func in (Tensor.float, Tensor.to) and (dtype := target_dtype(func, args, kwargs)):
            compute = lambda: self.materialise().to(dtype)  # noqa: E731
            return LazyTensor(compute, tuple(self.shape), dtype, self.device, self.needs_gradient)
        return None

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, first = kwargs or {}, args[0] if args else None
        if func in METADATA:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if isinstance(first, LazyTensor) and first.is_pending:
            if func == _REQUIRES_GRAD:
                return first.needs_gradient
            if (result := first.lazy_result(func, args, kwargs)) is not None:
                return result
        args, kwargs = pytree.tree_map_only(LazyTensor, LazyTensor.materialise, (args, kwargs))
        return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # Only C++ comes here, below autograd.
        inputs = pytree.tree_map_only(
            LazyTensor, lambda x: x.materialise().detach(), (args, kwargs or {})
        )
        return func(*inputs[0], **inputs[1])


def target_dtype(func: Any, args: tuple[Any, ...], kwargs: Any) -> torch.dtype | None:
    """The target type of a conversion that changes nothing else; None for other arguments."""
    dtypes = (torch.float32,) if func is Tensor.float else args[1:]
    if len(dtypes) != 1 or kwargs or not isinstance(dtypes[0], torch.dtype):
        return None
    return dtypes[0] if dtypes[0].is_floating_point else None


class LazyLogits(LazyTensor):
    """Lazy scores of classes, with the hidden states that they are computed from."""

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The hidden states of the scores, `[..., width]`."""
        raise NotImplementedError

    @final
    def cut(self, sizes: list[int], dim: int) -> "list[LazyLogits]":
        """Parts along a leading dimension; using one of them does not compute the others.

        Parts of scores without a gradient have no gradient.
        """
        with torch.set_grad_enabled(self.needs_gradient and torch.is_grad_enabled()):
            return self._cut(sizes, dim)

    def _cut(self, sizes: list[int], dim: int) -> "list[LazyLogits]":
        """The parts, from the parts of the hidden states."""
        raise NotImplementedError

    def alike(self, other: "LazyLogits") -> bool:
        """Say whether other scores have the same, unchanged head and as many items."""
        raise NotImplementedError

    def cross_entropy(self, labels: Tensor, ignore_index: int) -> Tensor | None:
        """The sum over items that are not ignored, if it needs fewer than all scores; else None."""
        return None
