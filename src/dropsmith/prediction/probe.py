"""A few rows tried first, to learn how a batch may be run: stacked, replayed, how large.

Each shortcut is tried on these rows against the plain way, and taken only where it gives the same.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dropsmith.batches import has_packed, rows_of
from dropsmith.errors import AxisError, ViewError
from dropsmith.passes import Mode
from dropsmith.prediction.peak_memory import PeakMemory
from dropsmith.prediction.replay import Entry, Player, Recorder, Script, through
from dropsmith.prediction.rounding import alike
from dropsmith.prediction.sampler import Sampler
from dropsmith.prediction.silent import no_noise
from dropsmith.prediction.tensor_usage import TensorUsage, is_open, tensors_of

_CLOSE = {torch.float64: 1e-10, torch.float32: 1e-4}


_LOOPED = '\n  use mode="looped"'


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How a batch may be run.

    Args:
        stack: whether several samples may share one forward.
        script: what the work before the first draw returns, or None where it cannot be replayed.
        row_bytes: how much memory one more row takes.
    """

    stack: bool
    script: Script | None
    row_bytes: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trial:
    """One observed pass."""

    logits: Tensor
    entries: list[Entry]
    peak: int


def probe(sampler: Sampler, few: Any, mode: Mode, replay: bool) -> Probe:
    """Try the shortcuts on a few rows.

    Raises:
        NoiseError: nothing random happens in the model.
        ViewError: samples are to be stacked and cannot be.
    """
    alone = _observed(sampler, few, (0,))
    sampler.check_rules_ran()
    if not sampler.drawn:
        raise no_noise(sampler.model, few)
    pair = None if mode == "looped" else _pair(sampler, few, alone, mode)
    script = _script(sampler, few, alone, pair) if replay else None
    # Scores are also copied, turned into probabilities and summed up.
    floor = 4 * alone.logits.numel() * alone.logits.element_size()
    more = max(pair.peak - alone.peak if pair is not None else 0, floor)
    return Probe(stack=pair is not None, script=script, row_bytes=more / rows_of(few))


def _observed(sampler: Sampler, few: Any, numbers: tuple[int, ...]) -> _Trial:
    live = PeakMemory(lambda: sampler.drawn)
    recorder = Recorder(lambda: sampler.drawn, told=live.leave_out)
    with through(sampler.model, recorder), live:
        logits = sampler.run(few, numbers)
    return _Trial(logits=logits, entries=recorder.entries, peak=live.peak)


def _pair(sampler: Sampler, few: Any, alone: _Trial, mode: Mode) -> _Trial | None:
    """Two samples stacked, or None where they do not stack."""
    why = "some of the noise is torch's own draw, which has no sample of its own in one batch"
    if has_packed(few):
        why = "packed sequences lie step by step, those of all samples together"
    elif not sampler.used_torch:
        try:
            pair = _observed(sampler, few, (0, 1))
        except (AxisError, ViewError):
            if mode == "stacked":
                raise
            return None
        first = pair.logits.chunk(2)[0] if pair.logits.ndim else pair.logits
        if _same(first, alone.logits):
            return pair
        why = "rows of this model change what other rows return"
    if mode == "stacked":
        raise ViewError(f"samples cannot be stacked in one batch: {why}{_LOOPED}")
    return None


def _script(sampler: Sampler, few: Any, alone: _Trial, pair: _Trial | None) -> Script | None:
    """What can be replayed; None where nothing can, or replaying changes the scores."""
    dims = _dims(alone.entries, pair.entries if pair is not None else None)
    if not dims:
        return None
    player = Player(alone.entries, Script(dims=dims, needed=frozenset(dims)))
    player.uses = TensorUsage()
    with player.uses:
        if not _same(_replayed(sampler, few, player), alone.logits):
            return None
    # Now without what is not needed: code that torch does not show may have looked at it.
    script = Script(dims=dims, needed=frozenset(player.uses.needed))
    copies, expected = (2, pair.logits) if pair is not None else (1, alone.logits)
    again = _replayed(sampler, few, Player(alone.entries, script, copies))
    return script if _same(again, expected) else None


def _replayed(sampler: Sampler, few: Any, player: Player) -> Tensor:
    with through(sampler.model, player):
        return sampler.run(few, tuple(range(player.copies)))


def _dims(alone: list[Entry], pair: list[Entry] | None) -> dict[int, list[int | None]] | None:
    """Which axis of each recorded tensor grows with the samples, or None where it is unclear."""
    others = alone if pair is None else pair
    if [entry.number for entry in alone] != [entry.number for entry in others]:
        return None
    found: dict[int, list[int | None]] = {}
    for one, two in zip(alone, others, strict=True):
        if not one.finished:
            continue
        tensors = list(zip(tensors_of(one.output), tensors_of(two.output), strict=False))
        dims = [_row_dim(x, y) for x, y in tensors]
        if not is_open(one.output) or any(dim == _UNCLEAR for dim in dims):
            return None
        found[one.number] = dims
    return found


_UNCLEAR = -1


def _row_dim(alone: Tensor, pair: Tensor) -> int | None:
    if alone.shape == pair.shape:
        return None
    for dim in range(min(alone.ndim, pair.ndim)):
        if _same(torch.cat([alone, alone], dim), pair):
            return dim
    return _UNCLEAR


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal up to the rounding of products over other numbers of rows."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not a.is_floating_point():
        return torch.equal(a, b)
    return alike(b, a, _CLOSE.get(a.dtype, 0.03))
