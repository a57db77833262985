"""What a pattern is: a frozen value that draws a mask from a source and nothing else."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import PatternError
from dropsmith.patterns._schedule import Schedule
from dropsmith.rng import Source, Word

Rate = float | Schedule


@dataclass(frozen=True, kw_only=True)
class Pattern(ABC):
    """What is dropped, as a value: equal settings are equal patterns.

    A subclass is a frozen keyword-only dataclass whose fields are JSON values or schedules. It
    draws a multiplicative mask that broadcasts against the tensor at a site and whose mean is one.
    """

    goes_on: ClassVar[str] = "activations"
    """`activations`, `words` (embedding rows by token id) or `weights` (parameters)."""

    @abstractmethod
    def draw(self, axes: Axes, source: Source) -> Tensor:
        """The mask for a tensor with these axes: floating, broadcastable to `axes.sizes`."""

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        """Multiply `x` by its mask; with several sources, the batch holds that many views in order.

        Nothing as large as a mask is kept for the backward pass: it is drawn again.
        """
        if torch.compiler.is_compiling():
            return x * self._mask(x, names, tuple(sources))
        return _Regenerated.apply(x, self, names, tuple(sources))  # pyright: ignore

    def rate_at(self, step: Word) -> float | Tensor:
        """The rate at a training step: the number itself, or what its schedule says."""
        rate: Rate = getattr(self, "rate")  # noqa: B009 - declared by the concrete dataclass
        return rate.at(step) if isinstance(rate, Schedule) else rate

    def at_depth(self, index: int, count: int) -> "Pattern":
        """The pattern for site `index` of the `count` sites of its rule, in order of depth."""
        rate = getattr(self, "rate", None)
        if not isinstance(rate, Schedule):
            return self
        return replace(self, rate=rate.at_depth(index, count))  # pyright: ignore[reportCallIssue]

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `patterns.from_json` makes an equal pattern."""
        return {"pattern": type(self).__name__} | {
            field.name: value.to_json() if isinstance(value, Schedule) else value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }

    def __repr__(self) -> str:
        settings = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({', '.join(settings)})"

    def _mask(self, x: Tensor, names: tuple[str, ...], sources: tuple[Source, ...]) -> Tensor:
        if len(sources) == 1:
            return self.draw(Axes(names, tuple(x.shape)), sources[0]).to(x.dtype)
        dim = Axes(names, tuple(x.shape)).dim("batch")
        rows = x.shape[dim] // len(sources)
        sizes = (*x.shape[:dim], rows, *x.shape[dim + 1 :])
        masks = [self.draw(Axes(names, sizes), source) for source in sources]
        whole = [_along(mask, dim, rows) for mask in masks]
        return torch.cat(whole, dim=dim).to(x.dtype)


class _Regenerated(torch.autograd.Function):
    """Multiplication by a mask that backward draws again from the same sources."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, pattern: Pattern, names: tuple[str, ...], sources: tuple[Source, ...]
    ) -> Tensor:
        ctx.settings = pattern, names, sources
        return x * pattern._mask(x, names, sources)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, None]:
        return _Regenerated.apply(grads[0], *ctx.settings), None, None, None  # pyright: ignore


def _along(mask: Tensor, dim: int, rows: int) -> Tensor:
    sizes = list(mask.shape)
    sizes[dim] = rows
    return mask.expand(sizes)


def check_rate(pattern: Pattern, rate: Rate) -> None:
    """Raise `PatternError` unless `rate` is a schedule or a number in [0, 1)."""
    if isinstance(rate, Schedule):
        return
    if isinstance(rate, bool) or not isinstance(rate, int | float) or math.isnan(rate):
        raise PatternError(
            f"{type(pattern).__name__}: rate must be a number or a schedule, got {rate!r}"
        )
    if not 0 <= rate < 1:
        raise PatternError(
            f"{type(pattern).__name__}: rate must be in [0, 1), got {rate!r}\n"
            "  rate is the chance of dropping; to switch a site off, use Off()"
        )
