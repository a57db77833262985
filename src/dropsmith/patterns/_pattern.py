"""The base of patterns: frozen values that draw a mask from a source and nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from torch import Tensor

from dropsmith.axes import NAMES, Axes
from dropsmith.errors import PatternError, did_you_mean, excerpt
from dropsmith.patterns._products import masks_of, times
from dropsmith.patterns._schedule import Schedule, check_chance, name_in_records
from dropsmith.rng import Source, StackedSources, Word

Rate = float | Schedule


@dataclass(frozen=True, kw_only=True)
class Pattern(ABC):
    """A pattern of dropout, as a value: equal settings are equal patterns.

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

        For the backward pass a mask is drawn again, unless it is small: of 64 KiB at most, or a
        sixteenth of `x`.
        """
        shape = tuple(x.shape)
        views = sources if isinstance(sources, StackedSources) else tuple(sources)
        return times(x, lambda: self.masks(shape, names, views))

    def mask_sizes(self, axes: Axes) -> tuple[int, ...]:
        """The sizes of the mask for a tensor with these axes."""
        return axes.collapse(getattr(self, "shared", ""))

    def rate_at(self, step: Word) -> float | Tensor:
        """The rate at a training step: the number itself, or the value of its schedule."""
        rate: Rate = getattr(self, "rate")  # noqa: B009 - declared by the concrete dataclass
        # Asking an abstract class for its instances costs more than all else here.
        return rate if type(rate) is float or not isinstance(rate, Schedule) else rate.at(step)

    def at_depth(self, index: int, count: int) -> "Pattern":
        """The pattern for site `index` of the `count` sites of its rule, in order of depth."""
        rate = getattr(self, "rate", None)
        if not isinstance(rate, Schedule):
            return self
        return replace(self, rate=rate.at_depth(index, count))  # pyright: ignore[reportCallIssue]

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `patterns.from_json` makes an equal pattern."""
        return {"pattern": name_in_records(self)} | {
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

    def masks(
        self, shape: tuple[int, ...], names: tuple[str, ...], sources: Sequence[Source]
    ) -> Tensor:
        """The mask of a tensor of a shape whose batch holds a view for each source, in order."""
        return masks_of(self.draw, shape, names, sources)


def check_rate(pattern: Pattern, rate: Rate) -> None:
    """Raise `PatternError` unless `rate` is a schedule or a number in [0, 1)."""
    if not isinstance(rate, Schedule):
        check_chance(type(pattern).__name__, "rate", rate, "a number or a schedule")


def check_shared(pattern: Pattern, shared: str) -> None:
    """Raise `PatternError` unless `shared` is names of axes in one string."""
    owner = type(pattern).__name__
    if not isinstance(shared, str):
        raise PatternError(
            f"{owner}: shared names axes in one string, got {excerpt(shared)}\n"
            '  separate several by spaces: shared="height width"'
        )
    for word in shared.split():
        if word not in NAMES:
            raise PatternError(
                f"{owner}: no axis is called {excerpt(word)}\n  axes are: {' '.join(NAMES)}"
                + did_you_mean(word, NAMES)
            )
