"""Patterns, keys to draw them with, and the lines that an exported graph draws them by."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from dropsmith import portable
from dropsmith.keys import Key, Strata
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    Gaussian,
    Pattern,
    PerView,
    Spans,
    StochasticDepth,
    Tiles,
)


@contextmanager
def exported() -> Iterator[None]:
    """Run plain code by the lines that are traced where a graph is exported."""
    compiler = torch.compiler
    before, compiler._is_compiling_flag = compiler._is_compiling_flag, True
    try:
        with portable.portable_lines():
            yield
    finally:
        compiler._is_compiling_flag = before


def key(count: int, number: int = 1) -> Key:
    strata = Strata(Key.of(7).fold(2), number, count) if count else None
    return replace(Key.of(7).fold(1, number), strata=strata)


PATTERNS: list[tuple[Pattern, str, tuple[int, ...]]] = [
    *((Bernoulli(rate=rate), "batch unit", (5, 30)) for rate in (0.0, 1e-9, 0.1, 0.5, 0.97)),
    (Bernoulli(rate=0.3, shared="time"), "batch time unit", (3, 5, 7)),
    (Bernoulli(rate=0.3, shared="batch"), "batch unit", (3, 5)),
    (Gaussian(rate=0.3), "batch unit", (5, 300)),
    (StochasticDepth(rate=0.4), "batch unit", (300, 2)),
    (DropBlock(rate=0.3, size=3), "batch channel height width", (2, 3, 9, 8)),
    (DropBlock(rate=0.3, size=4, shared="channel"), "batch channel time", (2, 3, 19)),
    (PerView(rates=(0.1, 0.5)), "batch unit", (5, 30)),
    (Spans(size=3, stride=2), "batch time unit", (3, 11, 7)),
    (Spans(size=3, stride=5, shared="unit"), "batch time unit", (3, 11, 7)),
    (Spans(size=2, stride=1, fresh="time"), "batch time unit", (3, 11, 7)),
    (Spans(size=9, stride=300, shared="time"), "batch time unit", (3, 11, 7)),
    (Tiles(size=2, stride=3), "batch channel height width", (2, 3, 11, 9)),
    (Tiles(size=3, stride=2, rotate=30, shear_x=0.2), "batch channel height width", (2, 3, 11, 9)),
    (Tiles(size=3, stride=2, repeat=2), "batch channel height width", (2, 3, 11, 9)),
    (
        Tiles(size=3, stride=2, repeat=2, rotate=40, shear_y=0.3, shared="channel"),
        "batch channel height width",
        (2, 3, 11, 9),
    ),
    (Tiles(size=40, stride=1, side=8), "batch channel height width", (2, 3, 11, 9)),
]
