"""What every pattern inherits: stacking, printing, JSON, schedules and their depth."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from dropsmith.axes import Axes
from dropsmith.errors import AxisError, PatternError, ViewError
from dropsmith.patterns import (
    Bernoulli,
    DepthRate,
    DropBlock,
    DropConnect,
    Gaussian,
    LinearRate,
    Pattern,
    Rate,
    StochasticDepth,
    WordDropout,
)
from dropsmith.rng import Key, Source
from dropsmith.user_code import reference_of

SOURCES = [Source(Key.of(0).fold(view)) for view in range(3)]
RATED = (Bernoulli, DropBlock, Gaussian, StochasticDepth, DropConnect, WordDropout)


@dataclass(frozen=True, kw_only=True)
class Halving(Pattern):
    """A user's own pattern, without any of the optional parts."""

    rate: Rate
    tag: str = "x"

    def draw(self, axes: Axes, source: Source) -> Tensor:
        return torch.full(axes.sizes, 0.5)


def test_a_pattern_without_a_draw_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Pattern()  # pyright: ignore[reportAbstractUsage]


@pytest.mark.parametrize("pattern", RATED)
@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan"), "0.1", None, True])
def test_a_rate_that_is_no_chance_is_refused(pattern, rate):
    with pytest.raises(PatternError, match=rf"{pattern.__name__}: rate must be"):
        pattern(rate=rate)


@pytest.mark.parametrize("pattern", [Bernoulli, DropBlock, Gaussian, DropConnect])
def test_a_misspelt_shared_axis_is_refused_at_once(pattern):
    with pytest.raises(PatternError, match=r"(?s)no axis is called 'tmie'.*mean 'time'\?"):
        pattern(rate=0.1, shared="tmie")
    with pytest.raises(PatternError, match="names axes in one string"):
        pattern(rate=0.1, shared=("time", "unit"))


def test_settings_at_their_default_are_neither_printed_nor_written():
    assert repr(Halving(rate=0.5)) == "Halving(rate=0.5, tag='x')"  # dataclass's own repr
    assert repr(Bernoulli(rate=0.5)) == "Bernoulli(rate=0.5)"
    name = reference_of(Halving)
    assert Halving(rate=0.5).to_json() == {"pattern": name, "rate": 0.5}
    assert Halving(rate=0.5, tag="y").to_json() == {"pattern": name, "rate": 0.5, "tag": "y"}


def test_sharing_an_axis_the_site_lacks_names_the_axes_it_has():
    with pytest.raises(AxisError, match=r"(?s)no axis 'channel'.*this site has: batch unit"):
        Bernoulli(rate=0.5, shared="channel").draw(Axes.read("batch unit", (2, 3)), SOURCES[0])


@pytest.mark.parametrize("names", ["batch time unit", "time batch unit"])
@pytest.mark.parametrize("shared", ["", "time", "batch", "unit"])
def test_views_are_stacked_along_the_batch_axis_wherever_it_is(names, shared):
    axes = tuple(names.split())
    x = torch.rand(6, 6, 4) + 1
    dim = axes.index("batch")
    pattern = Bernoulli(rate=0.5, shared=shared)
    parts = x.chunk(3, dim)
    alone = [pattern.drop(part, axes, [s]) for part, s in zip(parts, SOURCES, strict=True)]
    assert torch.equal(pattern.drop(x, axes, SOURCES), torch.cat(alone, dim))


@pytest.mark.parametrize("pattern", [Bernoulli, Gaussian, StochasticDepth])
def test_views_that_do_not_divide_the_batch_are_refused(pattern):
    with pytest.raises(ViewError, match="3 views do not divide a batch of 7 rows"):
        pattern(rate=0.5).drop(torch.ones(7, 2), ("batch", "unit"), SOURCES)


def test_several_views_of_a_tensor_without_a_batch_are_refused():
    with pytest.raises(AxisError, match="no axis 'batch'"):
        Gaussian(rate=0.5).drop(torch.ones(6, 2), ("time", "unit"), SOURCES)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_half_precision_is_rounded_once_after_the_product(rate):
    # 1 / (1 - 0.1) rounded to bfloat16 first would shrink every sum by 0.16 %.
    x = torch.linspace(1, 2, 20_000, dtype=torch.bfloat16).view(2, -1)
    dropped = Bernoulli(rate=rate, shared="batch").drop(x, ("batch", "unit"), SOURCES[:1])
    kept = dropped != 0
    share = dropped[kept].double().sum() / (x[kept].double().sum() / (1 - rate))
    assert abs(share.item() - 1) < 2e-4


def test_the_second_derivative_passes_the_same_mask():
    x = torch.rand(2, 3, 4, dtype=torch.float64).requires_grad_()
    names = ("batch", "time", "unit")

    def curved(x: Tensor) -> Tensor:
        return Bernoulli(rate=0.5, shared="time").drop(x**2, names, SOURCES[:2]) ** 2

    assert torch.autograd.gradcheck(curved, x)
    assert torch.autograd.gradgradcheck(curved, x)


def test_depth_settles_a_schedule_of_depth_and_leaves_the_rest_alone():
    assert StochasticDepth(rate=DepthRate(first=0.0, last=0.5)).at_depth(1, 3) == StochasticDepth(
        rate=0.25
    )
    timed = DropBlock(rate=LinearRate(start=0.0, end=0.2, steps=5), size=3)
    assert timed.at_depth(1, 3) is not None
    assert timed.at_depth(1, 3) == timed
    assert Bernoulli(rate=0.1).at_depth(0, 9) == Bernoulli(rate=0.1)


def test_a_scheduled_rate_is_the_rate_of_its_step():
    axes = Axes.read("batch unit", (50, 50))
    scheduled = Bernoulli(rate=LinearRate(start=0.0, end=0.5, steps=10))
    for step, rate in ((0, 0.0), (5, 0.25), (10, 0.5), (99, 0.5)):
        source = Source(Key.of(1), step=step)
        assert torch.equal(scheduled.draw(axes, source), Bernoulli(rate=rate).draw(axes, source))


@pytest.mark.parametrize("pattern", RATED)
def test_a_step_tensor_draws_what_the_step_number_draws(pattern):
    scheduled = pattern(rate=LinearRate(start=0.05, end=0.6, steps=7))
    for step in range(9):
        number = Source(Key.of(1).fold(step), step=step)
        tensor = torch.tensor(step, dtype=torch.int32)
        traced = Source(Key.of(1).fold(tensor), step=tensor)
        assert torch.equal(_drawn(scheduled, number), _drawn(scheduled, traced))


@pytest.mark.slow
@pytest.mark.parametrize("pattern", RATED)
def test_another_step_does_not_compile_a_scheduled_pattern_again(pattern):
    scheduled = pattern(rate=LinearRate(start=0.05, end=0.6, steps=7))

    def run(step: Tensor) -> Tensor:
        return _drawn(scheduled, Source(Key.of(1).fold(step), step=step))

    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(run, backend=counter, fullgraph=True)
    for step in range(9):
        tensor = torch.tensor(step, dtype=torch.int32)
        assert torch.equal(compiled(tensor), run(tensor))
    assert counter.frame_count == 1


def _drawn(pattern: Pattern, source: Source) -> Tensor:
    if isinstance(pattern, WordDropout):
        return pattern.mask(torch.arange(24).view(2, 12) % 5, source)
    return pattern.draw(Axes.read("batch channel height width", (2, 3, 6, 6)), source)
