"""Making views: several passes over one batch, stacked into one forward or one after the other."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from math import ceil
from typing import Any, Literal

import torch
from torch import nn

from dropsmith.activations import Reads
from dropsmith.batches import call, cut, has_packed, map_rows, rows_of
from dropsmith.errors import ViewError
from dropsmith.noise import ForwardPass, Installation, Noise, find_noise, installation_of
from dropsmith.passes.block_views import cut_layers, seeing
from dropsmith.passes.noise_free import Modes, noise_disabled
from dropsmith.passes.stacking_checks import (
    check_batch_dim_unambiguous,
    drops_branches,
    drops_layers,
    rows_first,
    warn_of_batch_norm,
)
from dropsmith.passes.trunk import Trunk
from dropsmith.passes.trunk_inputs import labels_of_all_views, with_own_words
from dropsmith.passes.view_values import Views

Mode = Literal["auto", "stacked", "looped"]


def views(
    model: nn.Module,
    batch: Any,
    n: int = 2,
    *,
    mode: Mode = "auto",
    quiet: tuple[int, ...] = (),
    share: float = 1.0,
    trunk: str | None = None,
    reads: Reads | None = None,
) -> Views:
    """Run a model `n` times over one batch, each time with noise of its own.

    The passes are stacked into one forward where noise is drawn per row, and made one after the
    other where it is known not to be: for weights without `views="shared"`, for whole layers or
    branches that the model skips, for quiet views, for packed sequences, and for a share of the
    batch under a plan. Both give the same masks. What else a model's own code drops once for a
    batch is the same in stacked views; `audit` says where. In train mode the step advances once.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    >>> pair = views(net, torch.ones(2, 3))
    >>> len(pair), pair.outputs[1].shape
    (2, torch.Size([2, 4]))

    Args:
        model: any module, also inside DistributedDataParallel.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name, of
            which those that `forward` does not take (such as `labels`) are left out.
        n: how many views.
        mode: `stacked`, `looped`, or `auto` for the rule above.
        quiet: views that run without any noise.
        share: the leading share of the rows that the second and later views see, in (0, 1].
        trunk: name of the first module that the views do not share: all before it runs once.
            Labels in the batch become those of all views, for the model's own loss at the end.
        reads: what to read of each view's Transformer blocks: an objective's `reads`.

    Raises:
        ViewError: the passes cannot be made the way that was asked for.
        SiteError: the blocks cannot be read.
    """
    _check(n, mode, quiet, share, trunk)
    noise = find_noise(model)
    if noise is not None and model.training:
        noise.begin(training=True)
    how = mode if mode != "auto" else choose(model, batch, n, quiet, share, reads)
    if n > 1 and (trunk is not None or how == "stacked"):
        warn_of_batch_norm(model, n)
    if trunk is not None:
        return forked(model, batch, n, noise, trunk, reads)
    make = stacked if how == "stacked" else looped
    return make(model, batch, n, noise, quiet, share, reads)


def _check(n: int, mode: Mode, quiet: tuple[int, ...], share: float, trunk: str | None) -> None:
    if n < 1 or not 0 < share <= 1:
        raise ViewError(f"views takes n >= 1 and share in (0, 1], got n={n} and share={share}")
    if any(not 0 <= view < n for view in quiet):
        raise ViewError(f"quiet={quiet} names a view that does not exist: there are {n}, from 0")
    if mode == "stacked" and quiet:
        raise ViewError(
            "a quiet view cannot be stacked: torch's own noise falls on every row of a batch\n"
            '  use mode="looped"'
        )
    if trunk is not None and (quiet or share < 1 or mode == "looped"):
        raise ViewError(
            "views that share a trunk are stacked above it, over the whole batch and all noisy\n"
            "  leave out trunk, or leave out quiet, share and mode"
        )


def choose(
    model: nn.Module,
    batch: Any,
    n: int,
    quiet: tuple[int, ...],
    share: float,
    reads: Reads | None = None,
) -> Mode:
    """`stacked` where every view can have its own noise within one batch, else `looped`.

    A model that drops whole layers does so for a whole batch; but views whose blocks are compared
    must have run the same ones. Packed sequences lie step by step, those of all views together.
    """
    made = _installed(model)
    per_pass = made is not None and any(
        one.rule.views == "fresh" and one.pattern.goes_on == "weights" for one in made.assignments
    )
    partial = share < 1 and made is not None
    by_pass = per_pass or drops_branches(model) or (reads is None and drops_layers(model))
    one_by_one = bool(quiet) or by_pass or partial or has_packed(batch)
    return "looped" if n == 1 or one_by_one else "stacked"


def stacked(
    model: nn.Module,
    batch: Any,
    n: int,
    noise: Noise | None,
    quiet: tuple[int, ...] = (),
    share: float = 1.0,
    reads: Reads | None = None,
) -> Views:
    """All views as one batch, in one forward."""
    if share < 1 and _installed(model) is not None:
        raise ViewError('a share of the batch under a plan needs mode="looped"')
    rows, some = rows_of(batch), ceil(rows_of(batch) * share)
    whole = map_rows(lambda x: torch.cat([x] + [x[:some]] * (n - 1)), batch)
    this = ForwardPass(views=tuple(range(n)), quiet=quiet, rows=rows + some * (n - 1))
    sizes = [rows] + [some] * (n - 1)
    with running(noise, this), rows_first(model, sum(sizes)), seeing(model, reads) as read:
        output = call(model, whole)
    check_batch_dim_unambiguous(model, output, sum(sizes))
    part = batch if some == rows else map_rows(lambda x: x[:some], batch)
    return Views(
        outputs=cut(output, sizes),
        batches=(batch,) + (part,) * (n - 1),
        shared_rows=some,
        layers=cut_layers(read.layers, sizes) if read is not None else (),
    )


def looped(
    model: nn.Module,
    batch: Any,
    n: int,
    noise: Noise | None,
    quiet: tuple[int, ...] = (),
    share: float = 1.0,
    reads: Reads | None = None,
) -> Views:
    """One forward for each view."""
    some = ceil(rows_of(batch) * share)
    part = batch if some == rows_of(batch) else map_rows(lambda x: x[:some], batch)
    batches = (batch,) + (part,) * (n - 1)
    outputs, layers = [], []
    for view, own in enumerate(batches):
        this = ForwardPass(views=(view,), quiet=quiet)
        silence = noise_disabled(model) if view in quiet else nullcontext()
        with running(noise, this), silence, seeing(model, reads) as read:
            outputs.append(call(model, own))
        layers += cut_layers(read.layers, [rows_of(own)]) if read is not None else ()
    if quiet:
        modes = Modes(model)
        for view, output in enumerate(outputs):
            modes.remember(output, quiet=view in quiet)
    return Views(outputs=tuple(outputs), batches=batches, shared_rows=some, layers=tuple(layers))


def forked(
    model: nn.Module,
    batch: Any,
    n: int,
    noise: Noise | None,
    trunk: str,
    reads: Reads | None = None,
) -> Views:
    """One forward whose rows become `n` times as many where the trunk ends."""
    rows, given = rows_of(batch), batch
    if isinstance(batch, Mapping):
        given = labels_of_all_views(with_own_words(model, batch), n)
    sizes, fork = [rows] * n, Trunk(model, trunk, noise, rows, n)
    reading = seeing(model, reads, fork.below)
    with fork, running(noise, ForwardPass(rows=rows)), reading as read:
        output = call(model, given)
    check_batch_dim_unambiguous(model, output, sum(sizes), rows)
    fork.fork_again_in_backward(output)
    return Views(
        outputs=cut(output, sizes, rows),
        batches=(batch,) * n,
        shared_rows=rows,
        layers=cut_layers(read.layers, sizes) if read is not None else (),
    )


@contextmanager
def running(noise: Noise | None, this: ForwardPass) -> Iterator[None]:
    """The pass under the model's noise, where it has any of ours."""
    if noise is None:
        yield
        return
    with noise.passing(this):
        yield


def _installed(model: nn.Module) -> Installation | None:
    return next((i for m in model.modules() if (i := installation_of(m)) is not None), None)
