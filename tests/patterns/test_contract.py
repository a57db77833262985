"""Every pattern of this library keeps the promises it asks of others."""

from dropsmith.patterns import (
    Bernoulli,
    CyclicRate,
    DropBlock,
    DropConnect,
    EarlyRate,
    Gaussian,
    LinearRate,
    Pattern,
    PerView,
    Spans,
    StochasticDepth,
    Tiles,
    WordDropout,
)
from dropsmith.testing import PatternContract


class TestOnSequences(PatternContract):
    patterns = (
        Bernoulli(rate=0.3),
        Bernoulli(rate=0.5, shared="time"),
        Bernoulli(rate=0.1, shared="batch"),
        Bernoulli(rate=LinearRate(start=0.1, end=0.5, steps=2)),
        PerView(rates=(0.3, 0.1)),
        StochasticDepth(rate=0.4),
        StochasticDepth(rate=EarlyRate(rate=0.2, steps=1)),
        DropBlock(rate=0.3, size=2),
        WordDropout(rate=0.3),
        WordDropout(rate=CyclicRate(low=0.1, high=0.5, period=4), per="table"),
    )


class TestOnImages(PatternContract):
    names = "batch channel height width"
    sizes = (4, 8, 5, 9)
    patterns = (
        Bernoulli(rate=0.2, shared="height width"),
        DropBlock(rate=0.3, size=3),
        DropBlock(rate=0.2, size=4, shared="channel"),
        DropBlock(rate=0.1, size=7),
        StochasticDepth(rate=0.2),
    )


class TestOnTimeMajorSequences(PatternContract):
    names = "time batch unit"
    sizes = (50, 4, 3)
    patterns = (
        Bernoulli(rate=0.3),
        StochasticDepth(rate=0.4),
        WordDropout(rate=0.3),
        DropBlock(rate=0.3, size=3, shared="unit"),
    )


class TestOnWeights(PatternContract):
    names = "? ?"
    sizes = (24, 10)
    patterns = (DropConnect(rate=0.3), DropConnect(rate=LinearRate(start=0.5, end=0.1, steps=4)))


class TestThatShake(PatternContract):
    patterns = (Gaussian(rate=0.3), Gaussian(rate=0.1, shared="time"))

    def zeros(self, pattern: Pattern) -> float:
        return 0.0


class TestTilings(PatternContract):
    names = "batch channel height width"
    sizes = (4, 3, 7, 9)
    patterns = (
        Tiles(size=2, stride=2),
        Tiles(size=3, stride=2, repeat=1, shared="channel"),
        Tiles(size=2, stride=1, repeat=2, rotate=30, shear_x=0.5, shear_y=-0.25),
        Tiles(size=4, stride=2, rotate=45, side=14),
        Tiles(size=1, stride=2, fresh="height width"),
    )

    def zeros(self, pattern: Pattern) -> float:
        return pattern.share(self._axes())  # pyright: ignore[reportAttributeAccessIssue]


class TestSpans(PatternContract):
    patterns = (
        Spans(size=2, stride=3),
        Spans(size=1, stride=2, shared="unit"),
        Spans(size=1, stride=4, shared="time"),
        Spans(size=3, stride=7, fresh="time"),
    )

    def zeros(self, pattern: Pattern) -> float:
        return pattern.share(self._axes())  # pyright: ignore[reportAttributeAccessIssue]


class TestSpansOfAttention(TestSpans):
    names = "batch head time time"
    sizes = (2, 3, 4, 8)
    patterns = (Spans(size=2, stride=3), Spans(size=2, stride=6, shared="head"))
