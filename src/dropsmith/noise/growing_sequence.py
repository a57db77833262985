"""Masks that hold over the steps of a model that reads or writes a sequence place by place.

Such a model runs once for each step: over the place that is new, where it keeps a cache, or over
all places so far. A mask that differs from place to place is therefore drawn once, for all places
that there may be, and each step takes the part that belongs to its places. So a step has the same
noise with a cache and without, and a place has the same in every step.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import NoiseError
from dropsmith.patterns import Pattern, StochasticDepth
from dropsmith.rng import Source

Call = tuple[str, int]
"""A site, and how often it was called before in a step."""


@dataclass(frozen=True, kw_only=True)
class CallSizes:
    """The sizes of the tensor at a call.

    Args:
        first: in the first step, over all places that there are then.
        growing: the dimensions that have one place more in each step.
    """

    first: tuple[int, ...]
    growing: tuple[int, ...]

    def at(self, step: int, like: Axes) -> tuple[int, ...]:
        """The sizes over all places in a step, for a tensor with the rows of another."""
        sizes = list(self.first)
        for dim in self.growing:
            sizes[dim] += step
        other = [dim for dim, size in enumerate(like.sizes) if size != sizes[dim]]
        rows = like.dim("batch") if "batch" in like.names else (*other, 0)[0]
        if rows not in self.growing:
            sizes[rows] = like.sizes[rows]
        return tuple(sizes)


Growth = Mapping[Call, CallSizes]


class SequenceMasks(Protocol):
    """A source of masks in a pass of several steps."""

    def mask(
        self, site: str, pattern: Pattern, axes: Axes, sources: Sequence[Source]
    ) -> Tensor | None:
        """The mask of a call; None where it is drawn as it is elsewhere."""
        ...


class GrowthTrace:
    """Notes the sizes at every site in each step of a pass that reads all places in each step."""

    def __init__(self) -> None:
        self.steps: list[dict[Call, tuple[int, ...]]] = [{}]
        self.drawn: dict[Call, tuple[int, ...]] = {}
        self._calls = _StepCalls()

    def begin_step(self) -> None:
        """A step begins; what ran before the first, such as an encoder, is none."""
        self._calls.begin_step()
        self.steps.append({})

    def mask(
        self, site: str, pattern: Pattern, axes: Axes, sources: Sequence[Source]
    ) -> Tensor | None:
        """Note a call."""
        if not _of_rows_alone(pattern, axes):
            call = self._calls.next(site)
            self.steps[-1][call], self.drawn[call] = axes.sizes, pattern.mask_sizes(axes)
        return None

    def growth(self) -> Growth:
        """The dimensions that grow, from the second step and the third.

        The first may read one place alone, which some models fold into other dimensions.

        Raises:
            NoiseError: a site runs in one of the steps alone, or grows by other than one place.
        """
        _, _, first, second, *_ = [*self.steps, {}, {}, {}]
        for site, _ in first.keys() ^ second.keys():
            raise _runs_in_some_steps(site)
        return {call: _call_sizes(call[0], first[call], second[call]) for call in first}

    def mask_bytes(self, steps: int) -> int:
        """The bytes that the masks of all places take, where there are so many steps more."""
        room = 0
        for call, sizes in self.growth().items():
            drawn = self.drawn[call]
            if any(drawn[dim] > 1 for dim in sizes.growing):
                grown = [
                    size + steps if dim in sizes.growing and size > 1 else size
                    for dim, size in enumerate(drawn)
                ]
                room += prod(grown)
        return room


class HeldMasks:
    """The masks of a pass of several steps, drawn once for all places.

    Args:
        growth: the dimensions that grow.
        steps: the most steps that there may be.
    """

    def __init__(self, growth: Growth, steps: int) -> None:
        self.growth, self.steps, self.step = growth, steps, -1
        self._calls = _StepCalls()
        self._masks: dict[Call, _Mask] = {}

    def begin_step(self) -> None:
        """A step begins."""
        self._calls.begin_step()
        self.step += 1

    def mask(
        self, site: str, pattern: Pattern, axes: Axes, sources: Sequence[Source]
    ) -> Tensor | None:
        """The mask of a call in this step; None where it is the same at all places.

        Raises:
            NoiseError: the site has places that cannot be told.
        """
        if _of_rows_alone(pattern, axes):
            return None
        call = self._calls.next(site)
        if self.step < 0:
            return None
        if call not in self.growth:
            raise _runs_in_some_steps(site)
        sizes = self.growth[call]
        now, whole = sizes.at(self.step, axes), Axes(axes.names, sizes.at(self.steps, axes))
        seen = _seen(site, axes.sizes, now, sizes.growing)
        drawn = pattern.mask_sizes(whole)
        if seen == axes.sizes and all(drawn[dim] == 1 for dim in sizes.growing):
            return None
        if call not in self._masks:
            self._masks[call] = _Mask.of(pattern.masks(whole.sizes, axes.names, sources))
        kept = self._masks[call]
        for dim in sizes.growing:
            # What a call sees of the places are the last so far.
            kept = kept.narrow(dim, now[dim] - seen[dim], seen[dim])
        mask = kept.values()
        return mask if seen == axes.sizes else mask.expand(seen).reshape(axes.sizes)


def _of_rows_alone(pattern: Pattern, axes: Axes) -> bool:
    """Say whether a mask has one decision for each row, such as that of stochastic depth."""
    drawn = zip(axes.names, pattern.mask_sizes(axes), strict=True)
    return isinstance(pattern, StochasticDepth) and all(
        name == "batch" or size == 1 for name, size in drawn
    )


def _call_sizes(site: str, sizes: tuple[int, ...], larger: tuple[int, ...]) -> CallSizes:
    pairs = list(zip(sizes, larger, strict=False))
    if len(sizes) != len(larger) or any(more - size not in (0, 1) for size, more in pairs):
        raise NoiseError(
            f"site {site!r} does not grow by one place at each step, so its mask cannot be held "
            f"over the steps: it has sizes {sizes} and then {larger}\n"
            "  leave it out: rule(..., Off())"
        )
    growing = tuple(dim for dim, (size, more) in enumerate(pairs) if more != size)
    first = tuple(size - (dim in growing) for dim, size in enumerate(sizes))
    return CallSizes(first=first, growing=growing)


def _seen(
    site: str, sizes: tuple[int, ...], now: tuple[int, ...], growing: tuple[int, ...]
) -> tuple[int, ...]:
    """The sizes of a call in this step: some of the places, and all else as in a step over all.

    Of one query, a model may fold heads into the places of queries: `[batch, 1, heads, keys]`.
    """
    seen = tuple(size if dim in growing else now[dim] for dim, size in enumerate(sizes))
    if seen != sizes and len(growing) == 2:
        one_query = {growing[0]: 1, growing[1]: sizes[growing[1]]}
        seen = tuple(one_query.get(dim, size) for dim, size in enumerate(now))
    fits = prod(seen) == prod(sizes) and len(sizes) == len(now)
    if not fits or any(seen[dim] > now[dim] for dim in growing):
        raise NoiseError(
            f"site {site!r} has sizes {sizes} in a step of a generation, and {now} over all places "
            "so far, so it cannot be told which places it sees; a cache of fixed size may be why\n"
            "  write use_cache=False, or leave the site out: rule(..., Off())"
        )
    return seen


def _runs_in_some_steps(site: str) -> NoiseError:
    return NoiseError(
        f"site {site!r} runs in some steps of a generation and not in others, so its mask cannot "
        "be held over them\n  leave it out: rule(..., Off())"
    )


class _StepCalls:
    """Counts calls of sites within a step, from those that were made before the first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.before: Counter[str] | None = None

    def begin_step(self) -> None:
        if self.before is None:
            self.before = self.counts
        self.counts = Counter(self.before)

    def next(self, site: str) -> Call:
        number = self.counts[site]
        self.counts[site] += 1
        return site, number


@dataclass(frozen=True)
class _Mask:
    """A mask in little room: whether units are kept, and by what they are multiplied."""

    kept: Tensor
    scale: Tensor | None = field(default=None)

    @classmethod
    def of(cls, mask: Tensor) -> "_Mask":
        kept, scale = mask != 0, mask.amax()
        is_plain = torch.equal(torch.where(kept, scale, 0), mask)
        return cls(kept, scale) if is_plain else cls(mask)

    def narrow(self, dim: int, start: int, size: int) -> "_Mask":
        if self.kept.shape[dim] == 1:
            return self
        return _Mask(self.kept.narrow(dim, start, size), self.scale)

    def values(self) -> Tensor:
        return self.kept if self.scale is None else torch.where(self.kept, self.scale, 0)
