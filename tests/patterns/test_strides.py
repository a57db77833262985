"""What is dropped lies in memory as torch's own dropout lays it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from dropsmith.kernels.keyed_dropout import chunked, keyed_dropout, reference
from dropsmith.kernels.keyed_dropout.dispatch import drop_small
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    Gaussian,
    PerView,
    Spans,
    StochasticDepth,
    Tiles,
)
from dropsmith.rng import Key, Source

NAMES = ("batch", "time", "height", "width")
KEYS = (Key.of(1).fold(2), Key.of(1).fold(3))
PATTERNS = [
    Bernoulli(rate=0.4),
    Bernoulli(rate=0.4, shared="time"),
    PerView(rates=(0.2, 0.5)),
    Gaussian(rate=0.3),
    StochasticDepth(rate=0.5),
    DropBlock(rate=0.3, size=2),
    Tiles(size=2, stride=1),
    Tiles(size=1, stride=1, rotate=30),
    Spans(size=2, stride=3),
]


def seeded(*sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(0))


def layouts(large: bool) -> dict[str, Tensor]:
    width = 1500 if large else 6
    x = seeded(4, 5, 7, width)
    return {
        "rows": x,
        "transposed": seeded(4, 5, width, 7).transpose(2, 3),
        "heads": seeded(4, 7, 5, width).transpose(1, 2),
        "reversed": seeded(width, 7, 5, 4).permute(3, 2, 1, 0),
        "batch second": seeded(5, 4, 7, width).transpose(0, 1),
        "channels last": x.contiguous(memory_format=torch.channels_last),
        "expanded": seeded(4, 1, 7, width).expand(4, 5, 7, width),
        "expanded rows": seeded(1, 5, 7, width).expand(4, 5, 7, width),
        "all one": seeded(1).expand(4, 5, 7, width),
        "every other": seeded(4, 5, 7, 2 * width)[..., ::2],
        "a part": seeded(4, 5, 9, width)[:, :, 1:8],
        "a turned part": seeded(4, width, 9, 5).transpose(1, 3)[:, :, 1:8],
    }


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", list(layouts(False)))
@pytest.mark.parametrize("pattern", PATTERNS, ids=repr)
def test_every_pattern_lays_its_result_as_torch_does(pattern, name, large, views):
    x = layouts(large)[name]
    before, sources = x.clone(), tuple(Source(key) for key in KEYS[:views])
    got = pattern.drop(x, NAMES, sources)
    assert got.stride() == functional.dropout(x, 0.5).stride()
    assert torch.equal(x, before)
    assert got.data_ptr() != x.data_ptr()
    assert torch.equal(got, pattern.drop(x.contiguous(), NAMES, sources))
    leaf = x.detach().requires_grad_()
    incoming = seeded(*x.shape).flip(0)
    (gradient,) = torch.autograd.grad(pattern.drop(leaf, NAMES, sources), leaf, incoming)
    mask = pattern.masks(tuple(x.shape), NAMES, sources)
    torch.testing.assert_close(gradient, incoming * mask)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_order_of_any_sizes_keeps_its_strides_and_its_mask(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    order = data.draw(st.permutations(range(len(sizes))))
    held = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    views = 2 if sizes[order[0]] % 2 == 0 else 1
    x = seeded(*[1 if hold else size for size, hold in zip(sizes, held, strict=True)])
    x = x.expand(sizes).permute(order)
    want = reference.keyed_dropout(x.contiguous(), KEYS[:views], 0.4)
    for kernel in (drop_small, chunked.keyed_dropout):
        got = kernel(x, KEYS[:views], 0.4)
        assert torch.equal(got, want)
        assert _that_matter(got) == _that_matter(functional.dropout(x, 0.4))


def _that_matter(x: Tensor) -> list[int]:
    """The strides of dimensions of more than one element."""
    return [stride for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1]


def test_dimensions_of_one_element_may_have_any_stride():
    for sizes, strides in [((3, 1, 4), (4, 99, 1)), ((1, 3), (77, 1)), ((3, 1, 2), (1, 7, 3))]:
        x = torch.as_strided(seeded(100), sizes, strides)
        got = keyed_dropout(x, KEYS[:1], 0.4)
        assert got.stride() == functional.dropout(x, 0.4).stride()
        assert torch.equal(got, keyed_dropout(x.contiguous(), KEYS[:1], 0.4))
