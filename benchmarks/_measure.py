"""Time and memory of ways to do the same work, in turns, so that a busy moment hits them all."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Call = Callable[[], object]
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""`cpu` counts what all threads of this process compute, and not what others keep it waiting."""
LEAST = 0.02
"""Seconds that one timing lasts at least: a short call is repeated until it does."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one way took.

    Args:
        name: of the way.
        seconds: of one call, for each round.
        ratios: to the first way in the same round.
        peak_bytes: the most that one call allocates beyond what was there before it.
    """

    name: str
    seconds: tuple[float, ...]
    ratios: tuple[float, ...]
    peak_bytes: int


def measure(
    calls: Sequence[tuple[str, Call]], device: torch.device, rounds: int, clock: str = "wall"
) -> list[Measured]:
    """Every call timed once in each round, in an order that moves on by one from round to round."""
    memory = [_peak_bytes(call, device) for _, call in calls]
    counts = [_count(call, device) for _, call in calls]
    taken: list[list[float]] = [[] for _ in calls]
    for number in range(rounds):
        for place in range(len(calls)):
            index = (number + place) % len(calls)
            taken[index].append(_seconds(calls[index][1], counts[index], device, clock))
    first = taken[0]
    return [
        Measured(
            name=name,
            seconds=tuple(own),
            ratios=tuple(a / b for a, b in zip(own, first, strict=True)),
            peak_bytes=most,
        )
        for (name, _), own, most in zip(calls, taken, memory, strict=True)
    ]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _seconds(call: Call, count: int, device: torch.device, clock: str = "wall") -> float:
    now = CLOCKS[clock]
    _wait(device)
    start = now()
    for _ in range(count):
        call()
    _wait(device)
    return (now() - start) / count


def _count(call: Call, device: torch.device) -> int:
    # What was called before, to see its memory, has compiled and filled caches by now.
    once = _seconds(call, 1, device)
    if once < LEAST:
        once = min(once, *(_seconds(call, 1, device) for _ in range(3)))
    return max(1, round(LEAST / max(once, 1e-9)))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_bytes(call: Call, device: torch.device) -> int:
    """Counted by torch's allocators, so not what NumPy or a compiler takes for itself.

    A call must free what it made, gradients too, or the next would seem to need less.
    """
    call()
    if device.type == "cuda":
        _wait(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    # The profiler's own library prints a line at its start and end unless told not to.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        call()
    found: Any = profile.profiler.kineto_results.events()  # pyright: ignore
    steps = sorted((e.start_ns(), e.nbytes()) for e in found if e.name() == "[memory]")
    held = peak = 0
    for _, size in steps:
        held += size
        peak = max(peak, held)
    return peak
