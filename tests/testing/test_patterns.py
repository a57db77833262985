"""Each broken promise fails the test that is about it, and a good pattern passes them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.patterns import Bernoulli, Pattern, WordDropout
from dropsmith.rng import Key, Source, keep
from dropsmith.testing import PatternContract

TESTS = [name for name in vars(PatternContract) if name.startswith("test_")]


@dataclass(frozen=True, kw_only=True)
class Flips(Pattern):
    """A user's pattern that keeps every promise; the others each break one."""

    rate: float

    def draw(self, axes: Axes, source: Source) -> Tensor:
        return keep(source, axes.sizes, self.rate).float() / (1 - self.rate)


class Unscaled(Flips):
    def draw(self, axes: Axes, source: Source) -> Tensor:
        return keep(source, axes.sizes, self.rate).float()


class Weaker(Flips):
    def draw(self, axes: Axes, source: Source) -> Tensor:
        return Flips(rate=0.9 * self.rate).draw(axes, source)


class Global(Flips):
    def draw(self, axes: Axes, source: Source) -> Tensor:
        return (torch.rand(axes.sizes) >= self.rate).float() / (1 - self.rate)


class Stuck(Flips):
    def draw(self, axes: Axes, source: Source) -> Tensor:
        return super().draw(axes, Source(Key.of(0)))


class Misshapen(Flips):
    def draw(self, axes: Axes, source: Source) -> Tensor:
        return super().draw(Axes(axes.names, (2, *axes.sizes[1:])), source)


class Boolean(Flips):
    def draw(self, axes: Axes, source: Source) -> Tensor:
        return super().draw(axes, source) > 0


class Keeping(Flips):
    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        return x * self.masks(tuple(x.shape), names, tuple(sources)).to(x.dtype)


class Straight(Flips):
    """Its gradient passes as if nothing had been dropped."""

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        return x + (super().drop(x, names, sources) - x).detach()


class Deaf(Flips):
    """Gives every view the mask of the first."""

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        return super().drop(x, names, [sources[0]] * len(sources))


class Widening(Flips):
    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        return super().drop(x.float(), names, sources)


class Floor(Flips):
    """Rate 0 still drops a little."""

    def draw(self, axes: Axes, source: Source) -> Tensor:
        return Flips(rate=max(self.rate, 0.05)).draw(axes, source)


class Moody(Flips):
    """Draws something else while it is compiled."""

    def draw(self, axes: Axes, source: Source) -> Tensor:
        moved = source.key.fold(1) if torch.compiler.is_compiling() else source.key
        return super().draw(axes, Source(moved))


class Shouting(Flips):
    def __repr__(self) -> str:
        return "Shouting(rate=0.5)"


class Amnesic(Flips):
    def to_json(self) -> dict:
        return super().to_json() | {"rate": 0.5}


class Selfish(Flips):
    """A parameter that pretends to carry the masks of several views."""

    goes_on = "weights"


BROKEN = {
    Unscaled: "test_the_mean_of_the_mask_is_one",
    Weaker: "test_the_dropped_share_is_the_rate",
    Global: "test_the_same_source_gives_the_same_mask",
    Stuck: "test_another_source_gives_another_mask",
    Misshapen: "test_the_mask_broadcasts_to_the_tensor",
    Boolean: "test_the_mask_broadcasts_to_the_tensor",
    Keeping: "test_nothing_large_is_kept_for_the_backward_pass",
    Straight: "test_drop_multiplies_by_the_mask_and_so_does_its_gradient",
    Deaf: "test_stacked_views_equal_views_one_by_one",
    Widening: "test_half_precision_drops_the_same_places",
    Floor: "test_rate_zero_changes_nothing",
    Moody: "test_compiled_code_draws_the_same_mask",
    Shouting: "test_what_it_prints_can_be_typed",
    Amnesic: "test_it_comes_back_from_json",
    Selfish: "test_stacked_views_equal_views_one_by_one",
}


@pytest.mark.parametrize(("broken", "test"), BROKEN.items())
def test_a_broken_promise_fails_its_test(broken, test):
    with pytest.raises(AssertionError):
        getattr(PatternContract(), test)(broken(rate=0.3))


def test_every_test_but_that_of_frozen_values_has_a_pattern_that_fails_it():
    assert set(TESTS) - set(BROKEN.values()) == {"test_it_is_a_frozen_value"}


@pytest.mark.parametrize("test", TESTS)
def test_a_pattern_of_your_own_that_keeps_its_promises_passes(test):
    getattr(PatternContract(), test)(Flips(rate=0.3))


@pytest.mark.slow
def test_the_statistical_tests_pass_for_other_draws_too(monkeypatch):
    monkeypatch.setattr("dropsmith.testing.patterns._source", lambda seed: _other(seed))
    for pattern in (Bernoulli(rate=0.3), Bernoulli(rate=0.5, shared="time"), WordDropout(rate=0.2)):
        PatternContract().test_the_mean_of_the_mask_is_one(pattern)
        PatternContract().test_the_dropped_share_is_the_rate(pattern)


def _other(seed: int) -> Source:
    return Source(Key.of(seed).fold(99), step=1)


class Metafunc:
    """As much of pytest as the contract talks to."""

    def __init__(self, fixturenames: Sequence[str]) -> None:
        self.fixturenames = fixturenames
        self.ids: list[str] = []

    def parametrize(self, name: str, values: Sequence[Pattern], ids: Callable) -> None:
        self.ids += [f"{name}: {ids(value)}" for value in values]


def test_pytest_runs_every_test_once_for_every_pattern():
    class TestTwo(PatternContract):
        patterns = (Bernoulli(rate=0.1), Bernoulli(rate=0.2))

    asking, other = Metafunc(["pattern"]), Metafunc(["tmp_path"])
    TestTwo().pytest_generate_tests(asking)
    TestTwo().pytest_generate_tests(other)
    assert asking.ids == ["pattern: Bernoulli(rate=0.1)", "pattern: Bernoulli(rate=0.2)"]
    assert other.ids == []
