"""Masks on a GPU are those of a CPU, for every pattern."""

import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.patterns import Bernoulli, DropBlock, Gaussian, Spans, StochasticDepth, Tiles
from dropsmith.rng import Key, Source

IMAGE = ("batch", "channel", "height", "width")
TEXT = ("batch", "time", "unit")
PATTERNS = [
    (Bernoulli(rate=0.3), IMAGE, (4, 3, 16, 16)),
    (Bernoulli(rate=0.3, shared="time"), TEXT, (4, 9, 33)),
    (Gaussian(rate=0.3), TEXT, (4, 9, 33)),
    (DropBlock(rate=0.2, size=3), IMAGE, (4, 3, 16, 16)),
    (StochasticDepth(rate=0.5), TEXT, (8, 9, 33)),
    (Tiles(size=4, stride=8, rotate=30), IMAGE, (4, 3, 16, 16)),
    (Tiles(size=4, stride=4, repeat=2, shared="channel"), IMAGE, (4, 3, 16, 16)),
    (Tiles(size=4, stride=8), IMAGE, (16, 64, 32, 32)),
    (Spans(size=2, stride=6), TEXT, (4, 9, 33)),
    (Spans(size=2, stride=14, shared="unit"), TEXT, (48, 70, 380)),
]


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize(("pattern", "names", "sizes"), PATTERNS, ids=str)
def test_a_mask_and_its_gradient_are_those_of_a_cpu(gpu, pattern, names, sizes, views):
    made = []
    for device in (torch.device("cpu"), gpu):
        x = torch.ones(sizes, device=device, requires_grad=True)
        sources = [Source(Key.of(3).fold(view), 1, device, view) for view in range(views)]
        out = pattern.drop(x, names, sources)
        (slope,) = torch.autograd.grad(out, x, torch.ones_like(out))
        made.append((out.detach().cpu(), slope.cpu()))
    for here, there in zip(*made, strict=True):
        assert torch.equal(here == 0, there == 0)
        torch.testing.assert_close(there, here)


def test_images_whose_channels_lie_together_drop_the_same(gpu):
    pattern, sizes = Tiles(size=4, stride=8, rotate=30), (16, 64, 32, 32)
    x = torch.ones(sizes, device=gpu)
    apart, together = (
        pattern.drop(one, IMAGE, [Source(Key.of(1), 1, gpu)])
        for one in (x, x.contiguous(memory_format=torch.channels_last))
    )
    assert torch.equal(apart, together)
    assert together.is_contiguous(memory_format=torch.channels_last)


def test_the_axes_of_a_site_draw_the_same_on_both(gpu):
    axes = Axes(IMAGE, (4, 3, 16, 16))
    for pattern, names, _ in PATTERNS:
        if names == IMAGE:
            here = pattern.draw(axes, Source(Key.of(1)))
            torch.testing.assert_close(
                pattern.draw(axes, Source(Key.of(1), device=gpu)).cpu(), here
            )
