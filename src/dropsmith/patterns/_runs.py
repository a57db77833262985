"""The settings of patterns made of runs, and the places at which their runs begin."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dropsmith.axes import VIEW, Axes
from dropsmith.errors import PatternError, did_you_mean, excerpt
from dropsmith.numbers import is_count
from dropsmith.patterns._line import Integers
from dropsmith.patterns._pattern import Pattern, check_shared
from dropsmith.portable import call, exporting, share_of_half
from dropsmith.rng import Source, numpy_serves, words


def check_count(pattern: Pattern, name: str, value: object, minimum: int) -> None:
    """Raise `PatternError` unless a setting is a whole number that is not below `minimum`."""
    if not is_count(value, minimum):
        raise PatternError(
            f"{type(pattern).__name__}: {name} is a whole number, {minimum} or more; "
            f"got {excerpt(value)}"
        )


def check_places(pattern: Pattern, shared: str, fresh: str, along: tuple[str, ...]) -> None:
    """Raise `PatternError` unless `fresh` names axes of `along` that are not `shared`."""
    check_shared(pattern, shared)
    owner = type(pattern).__name__
    for word in fresh.split() if isinstance(fresh, str) else [fresh]:
        if word not in along:
            raise PatternError(
                f"{owner}: fresh names axes of: {' '.join(along)}; got {excerpt(word)}"
                + did_you_mean(word, along)
            )
        if word in shared.split():
            raise PatternError(f"{owner}: {word!r} is both shared and fresh; choose one of them")


def places(
    source: Source,
    axes: Axes,
    shared: str,
    run_dims: tuple[int, ...],
    counts: Sequence[int | None],
) -> Sequence[Integers]:
    """Random int32 for each index of dimensions neither shared nor in `run_dims`.

    Args:
        source, axes, shared, run_dims: of the draw.
        counts: for each place, how many whole numbers there are for `whole_place` to choose from;
            None for a place that may be anywhere.
    """
    shape = axes.collapse(shared)
    free = tuple(1 if dim in run_dims else size for dim, size in enumerate(shape))
    numbers = _numbers(source, len(counts), free, axes)
    if source.key.strata is not None:
        numbers = torch.stack([_by_strata(n, c) for n, c in zip(numbers, counts, strict=True)])
    return list(numbers.numpy() if numpy_serves(source.device) else numbers)


def _numbers(source: Source, count: int, free: tuple[int, ...], axes: Axes) -> Tensor:
    """Words `[count, *free]`; those of each view are counted from its first, as without others."""
    if axes.names[0] != VIEW:
        return words(source, (count, *free))
    return words(source, (free[0], count, *free[1:])).movedim(1, 0)


def _by_strata(numbers: Tensor, count: int | None) -> Tensor:
    """Numbers whose remainder follows their strata: remainders of other numbers mix them up."""
    if count is None:
        return numbers
    if exporting():
        return call(share_of_half, numbers, count, types=(torch.int32,)) * 2
    fractions = (numbers >> 1).long() & 0x7FFFFFFF
    return (fractions * count >> 31 << 1).to(torch.int32)


def positions(axes: Axes, shared: str, dim: int, device: torch.device) -> Integers:
    """Positions along a dimension, shaped to broadcast; the first alone where it is shared."""
    shape = [1] * len(axes.sizes)
    shape[dim] = axes.collapse(shared)[dim]
    if numpy_serves(device):
        return np.arange(shape[dim], dtype=np.int32).reshape(shape)
    return torch.arange(shape[dim], dtype=torch.int32, device=device).view(shape)
