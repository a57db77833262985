"""A few rows tried first, to learn how a batch may be run: stacked, replayed, how large.

Each shortcut is tried on these rows against the plain way, and taken only where it gives the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.batches import close
from dropsmith.errors import AxisError, ViewError
from dropsmith.passes import Mode
from dropsmith.prediction.heads import Parts
from dropsmith.prediction.no_uncertainty import no_noise
from dropsmith.prediction.peak_memory import PeakMemory
from dropsmith.prediction.replay import Entry, Player, Recorder, Script, through
from dropsmith.prediction.sampler import Sampler
from dropsmith.prediction.tensor_usage import TensorUsage, is_open, tensors_of

_LOOPED = '\n  use mode="looped"'


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The way in which a batch may be run.

    Args:
        stack: whether several samples may share one forward.
        script: what the work before the first draw returns, or None where it cannot be replayed.
        row_bytes: how much memory one more row takes.
        shapes: of the scores that the model gave for the few rows.
    """

    stack: bool
    script: Script | None
    row_bytes: float
    shapes: tuple[torch.Size, ...]

    def copies(self, rows: int, memory: int) -> int:
        """How many samples share a forward over a batch of some rows, within bytes of memory."""
        return max(int(memory / (self.row_bytes * rows)), 1) if self.stack else 1


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trial:
    """One observed pass."""

    logits: list[Parts]
    entries: list[Entry]
    peak: int


def probe(sampler: Sampler, mode: Mode, replay: bool) -> Probe:
    """Try the shortcuts on a few rows.

    Raises:
        NoiseError: nothing random happens in the model.
        ViewError: samples are to be stacked and cannot be.
    """
    alone = _try(sampler, (0,))
    sampler.check_rules_ran()
    if not sampler.noise_began:
        raise no_noise(sampler.model, sampler.probe_inputs)
    pair = None if mode == "looped" else _pair(sampler, alone, mode)
    script = _script(sampler, alone, pair) if replay else None
    # Scores are also copied, turned into probabilities and summed up.
    floor = 4 * sum(part.numel() * part.element_size() for part in alone.logits[0])
    growth = max(pair.peak - alone.peak if pair is not None else 0, floor)
    rows = sampler.layout.argument_rows(sampler.probe_inputs)
    return Probe(
        stack=pair is not None,
        script=script,
        row_bytes=growth / rows,
        shapes=tuple(part.shape for part in alone.logits[0]),
    )


def _try(sampler: Sampler, numbers: tuple[int, ...]) -> _Trial:
    memory = PeakMemory(lambda: sampler.noise_began)
    recorder = Recorder(lambda: sampler.noise_began, on_output=memory.leave_out)
    with through(sampler.model, recorder), memory:
        logits = sampler.sample(sampler.probe_inputs, numbers)
    return _Trial(logits=logits, entries=recorder.entries, peak=memory.peak)


def _pair(sampler: Sampler, alone: _Trial, mode: Mode) -> _Trial | None:
    """Two samples stacked, or None where they do not stack."""
    why = sampler.layout.dependence
    if sampler.torch_drew:
        why = "some of the noise is torch's own draw, which has no sample of its own in one batch"
    if not why:
        other = sampler.sample(sampler.probe_inputs, (1,))
        try:
            pair = _try(sampler, (0, 1))
        except (AxisError, ViewError):
            if mode == "stacked":
                raise
            return None
        if _same(pair.logits, [*alone.logits, *other]):
            return pair
        why = "the rows of this model influence each other's outputs"
    if mode == "stacked":
        raise ViewError(f"samples cannot be stacked in one batch: {why}{_LOOPED}")
    return None


def _script(sampler: Sampler, alone: _Trial, pair: _Trial | None) -> Script | None:
    """The work that can be replayed; None where nothing can, or replaying changes the scores."""
    dims = _dims(alone.entries, pair.entries if pair is not None else None)
    if not dims:
        return None
    player = Player(alone.entries, Script(dims=dims, values=frozenset(dims)))
    player.uses = TensorUsage()
    with player.uses:
        if not _replays(sampler, player, alone.logits):
            return None
    # Now without what is not needed: code that torch does not show may have looked at it.
    script = Script(dims=dims, values=frozenset(player.uses.calls_in_use))
    copies, expected = (2, pair.logits) if pair is not None else (1, alone.logits)
    player = Player(alone.entries, script, copies)
    return script if _replays(sampler, player, expected) else None


def _replays(sampler: Sampler, player: Player, expected: list[Parts]) -> bool:
    """Say whether a replay gives the scores that are expected."""
    try:
        with through(sampler.model, player):
            logits = sampler.sample(sampler.probe_inputs, tuple(range(player.copies)))
    except ViewError:
        # What hooks inside a replayed module would have collected is missing in the output.
        return False
    return _same(logits, expected)


def _dims(alone: list[Entry], pair: list[Entry] | None) -> dict[int, list[int | None]] | None:
    """The axis of each recorded tensor that grows with the samples, or None where it is unclear."""
    others = alone if pair is None else pair
    if [entry.number for entry in alone] != [entry.number for entry in others]:
        return None
    dims: dict[int, list[int | None]] = {}
    for entry, other in zip(alone, others, strict=True):
        if not entry.has_output:
            continue
        tensors = zip(tensors_of(entry.output), tensors_of(other.output), strict=False)
        row_dims = [_row_dim(x, y) for x, y in tensors]
        if not is_open(entry.output) or any(dim == _UNCLEAR for dim in row_dims):
            return None
        dims[entry.number] = row_dims
    return dims


_UNCLEAR = -1


def _row_dim(alone: Tensor, pair: Tensor) -> int | None:
    if alone.shape == pair.shape:
        return None
    for dim in range(min(alone.ndim, pair.ndim)):
        twice = torch.cat([alone, alone], dim)
        if twice.shape == pair.shape and close(twice, pair):
            return dim
    return _UNCLEAR


def _same(first: list[Parts], second: list[Parts]) -> bool:
    """Equal up to the rounding of products over other numbers of rows."""
    pairs = zip(first, second, strict=True)
    return all(close(b, a) for one, two in pairs for a, b in zip(one, two, strict=True))
