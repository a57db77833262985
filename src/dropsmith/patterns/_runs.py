"""What patterns made of runs have in common: their settings, their places, their scale."""

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import PatternError
from dropsmith.patterns._pattern import Pattern, check_shared
from dropsmith.rng import Source, words


def check_count(pattern: Pattern, name: str, value: object, least: int) -> None:
    """Raise `PatternError` unless a setting is a whole number that is not below `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PatternError(
            f"{type(pattern).__name__}: {name} is a whole number, {least} or more; got {value!r}"
        )


def check_places(pattern: Pattern, shared: str, fresh: str, along: tuple[str, ...]) -> None:
    """Raise `PatternError` unless `fresh` names axes of `along` that are not `shared`."""
    check_shared(pattern, shared)
    owner = type(pattern).__name__
    for word in fresh.split() if isinstance(fresh, str) else [repr(fresh)]:
        if word not in along:
            raise PatternError(f"{owner}: fresh names axes of {' '.join(along)!r}, got {word!r}")
        if word in shared.split():
            raise PatternError(
                f"{owner}: {word!r} is both shared and fresh: one place, or one for each step?"
            )


def places(source: Source, axes: Axes, shared: str, held: tuple[int, ...]) -> Tensor:
    """Random int32, one for each index of the dimensions that are neither shared nor `held`."""
    shape = axes.collapse(shared)
    return words(source, tuple(1 if dim in held else n for dim, n in enumerate(shape)))


def counted(axes: Axes, shared: str, dim: int, device: torch.device) -> Tensor:
    """Positions along a dimension, shaped to broadcast; the first alone where it is shared."""
    shape = [1] * len(axes.sizes)
    shape[dim] = axes.collapse(shared)[dim]
    return torch.arange(shape[dim], dtype=torch.int32, device=device).view(shape)


def kept_of_rows(dropped: Tensor, axes: Axes) -> Tensor:
    """The share of each row that is kept, 0 where all of it is dropped."""
    rest = [dim for dim, name in enumerate(axes.names) if name != "batch"]
    sizes = [dropped.shape[dim] for dim in rest]
    # Counted in integers, so that no order of adding up can matter.
    lost = dropped.sum(dim=rest, keepdim=True) if rest else dropped.long()
    return 1 - lost.float() / torch.Size(sizes).numel()


def with_mean_one(dropped: Tensor, axes: Axes) -> Tensor:
    """The mask of what is dropped: each row divided by its kept share, or left whole."""
    share = kept_of_rows(dropped, axes)
    return torch.where(share > 0, ~dropped / share, 1.0)
