"""Every sampler keeps what all of them promise."""

from dataclasses import replace

from dropsmith.pattern_search import TPE, Controller, Evolution, Learning, RandomSampler
from dropsmith.testing import SamplerContract

QUICK = Learning(width=8, heads=2, steps=1, memory=8, warmup=2)


class TestSamplers(SamplerContract):
    samplers = (
        lambda space, seed: Controller(space, seed=seed, learning=QUICK),
        lambda space, seed: RandomSampler(space, seed=seed),
        lambda space, seed: TPE(space, seed=seed, startup=5),
        lambda space, seed: Evolution(space, seed=seed, population=5),
    )


REPEATING = replace(QUICK, distinct=0, clip=None)


class TestAControllerThatMayRepeat(SamplerContract):
    samplers = (lambda space, seed: Controller(space, seed=seed, learning=REPEATING),)
