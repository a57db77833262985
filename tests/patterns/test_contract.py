"""Every pattern of this library keeps the promises it asks of others."""

from dropsmith.patterns import (
    Bernoulli,
    Blocks,
    Cyclic,
    Early,
    Gaussian,
    Linear,
    Path,
    Pattern,
    Weights,
    Words,
)
from dropsmith.testing import PatternContract


class TestOnSequences(PatternContract):
    patterns = (
        Bernoulli(rate=0.3),
        Bernoulli(rate=0.5, shared="time"),
        Bernoulli(rate=0.1, shared="batch"),
        Bernoulli(rate=Linear(start=0.1, end=0.5, steps=2)),
        Path(rate=0.4),
        Path(rate=Early(rate=0.2, steps=1)),
        Blocks(rate=0.3, size=2),
        Words(rate=0.3),
        Words(rate=Cyclic(low=0.1, high=0.5, period=4), per="table"),
    )


class TestOnImages(PatternContract):
    names = "batch channel height width"
    sizes = (4, 8, 5, 9)
    patterns = (
        Bernoulli(rate=0.2, shared="height width"),
        Blocks(rate=0.3, size=3),
        Blocks(rate=0.2, size=4, shared="channel"),
        Blocks(rate=0.1, size=7),
        Path(rate=0.2),
    )


class TestOnTimeMajorSequences(PatternContract):
    names = "time batch unit"
    sizes = (50, 4, 3)
    patterns = (
        Bernoulli(rate=0.3),
        Path(rate=0.4),
        Words(rate=0.3),
        Blocks(rate=0.3, size=3, shared="unit"),
    )


class TestOnWeights(PatternContract):
    names = "? ?"
    sizes = (24, 10)
    patterns = (Weights(rate=0.3), Weights(rate=Linear(start=0.5, end=0.1, steps=4)))


class TestThatShake(PatternContract):
    patterns = (Gaussian(rate=0.3), Gaussian(rate=0.1, shared="time"))

    def zeros(self, pattern: Pattern) -> float:
        return 0.0
