"""The scores of the samples of a prediction, in order, stacked as far as memory allows."""

from collections.abc import Iterator
from math import ceil
from typing import Any

import torch
from torch import nn

from dropsmith.batches import Arguments
from dropsmith.instances import check_model
from dropsmith.prediction.draws import SampleSize
from dropsmith.prediction.probe import Probe
from dropsmith.prediction.replay import Player, Recorder, through
from dropsmith.prediction.sampler import Parts, Sampler

MEMORY = 2**24
"""Bytes for stacked samples on a CPU: beyond what its caches hold, stacking only slows down."""


def run_samples(
    sampler: Sampler, inputs: Arguments, size: SampleSize, way: Probe, memory: int | None
) -> Iterator[Parts]:
    """The parts of the scores in order, `[samples, ...]` of those that were run together."""
    entries, start = [], 0
    if way.script is not None:
        recorder = Recorder(lambda: sampler.noise_began, way.script)
        with through(sampler.model, recorder):
            (first,) = sampler.sample(inputs, (0,))
        # A path other than the one that was tried is not replayed.
        entries = recorder.entries if recorder.follows_script else []
        start = 1
        yield tuple(part.unsqueeze(0) for part in first)
    budget = budget_of(sampler.model) if memory is None else memory
    rows = sampler.layout.argument_rows(inputs)
    for end in range(size.block, size.most + 1, size.block):
        for numbers in chunks_of(range(start, end), way.copies(rows, budget)):
            samples = _sample(sampler, inputs, numbers, way, entries)
            yield tuple(map(torch.stack, zip(*samples, strict=True)))
        start = end


def _sample(
    sampler: Sampler, inputs: Arguments, numbers: tuple[int, ...], way: Probe, entries: list[Any]
) -> list[Parts]:
    if way.script is None:
        return sampler.sample(inputs, numbers)
    with through(sampler.model, Player(entries, way.script, len(numbers))):
        return sampler.sample(inputs, numbers)


def chunks_of(numbers: range, size: int) -> Iterator[tuple[int, ...]]:
    """As few chunks of at most `size` as there can be, of nearly equal size."""
    count = ceil(len(numbers) / size)
    for chunk in torch.arange(numbers.start, numbers.stop).tensor_split(max(count, 1)):
        yield tuple(chunk.tolist())


def budget_of(model: nn.Module) -> int:
    """Bytes that stacked samples may take where nothing is said: `MEMORY`, or half a GPU's."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else MEMORY


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside wrappers for several devices and for compilation."""
    check_model(model)
    wrappers = (nn.parallel.DistributedDataParallel, nn.DataParallel)
    while isinstance(model, wrappers) or hasattr(model, "_orig_mod"):
        model = model.module if isinstance(model, wrappers) else model._orig_mod  # pyright: ignore
    return model
