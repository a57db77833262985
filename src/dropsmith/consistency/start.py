"""What is to be done in one training forward, decided from the arguments it was called with."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from torch import nn

from dropsmith.activations import Reader, Reads, never
from dropsmith.batches import rows_of
from dropsmith.consistency.forward import ITEMS, Forward
from dropsmith.consistency.run import Running
from dropsmith.noise import Noise
from dropsmith.objectives import Objective
from dropsmith.passes import Trunk, choose, with_own_words


def start(
    module: nn.Module,
    noise: Noise,
    forward: Forward,
    objective: Objective,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    mode: str,
    trunk: str | None = None,
    reader: Reader | None = None,
) -> Running:
    """What is to be done in this forward, for the arguments it was called with.

    `reader` is that of the forward before, whose hooks are used again where they can be.
    """
    kwargs = dict(kwargs)
    items = kwargs.pop(ITEMS, None)
    batch = forward.by_name(args, kwargs)
    if not forward.labels:
        kwargs.pop("labels", None)
    rows, n = rows_of(batch), objective.views_at(noise.step)
    some, reads = ceil(rows * objective.share), objective.reads if n > 1 else None
    auto = mode == "auto"
    how = choose(module, batch, n, objective.quiet, objective.share, reads) if auto else mode
    fork = Trunk(module, trunk, noise, rows, n) if trunk is not None and n > 1 else None
    below = never if fork is None else fork.below
    return Running(
        noise=noise,
        step=noise.step,
        n=n,
        quiet=tuple(view for view in objective.quiet if view < n),
        stacked=n > 1 and how == "stacked" and fork is None,
        args=tuple(args),
        kwargs=kwargs if fork is None else with_own_words(module, kwargs),
        batch=batch,
        rows=rows,
        some=some,
        items=items,
        fork=fork,
        reads=reads,
        reader=_reader(module, reads, below, reader),
    )


def _reader(
    module: nn.Module, reads: Reads | None, below: Callable[[], bool], last: Reader | None
) -> Reader | None:
    if reads is None:
        return None
    alike = last is not None and last.settled and last.model is module and last.reads == reads
    if last is not None and alike and below is last.below is never:
        return last
    return Reader(module, reads, begun=True, below=below)
