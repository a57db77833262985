"""Masks are the same, bit for bit, in every version: a seed names the same noise for good."""

from hashlib import blake2s

import pytest
import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.kernels.keyed_dropout import keyed_dropout
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    DropConnect,
    Gaussian,
    Pattern,
    PerView,
    Spans,
    StochasticDepth,
    Tiles,
    WordDropout,
)
from dropsmith.rng import Key, Source

KEY = Key.of(3).fold(1, 2)
OTHER = Key.of(2**40 + 5).fold(7)
SEQUENCE = Axes.read("batch time unit", (3, 7, 11))
IMAGE = Axes.read("batch channel height width", (3, 4, 9, 10))


def digest(x: Tensor) -> str:
    return blake2s(x.contiguous().view(torch.uint8).numpy().tobytes(), digest_size=8).hexdigest()


@pytest.mark.parametrize(
    ("pattern", "axes", "want"),
    [
        (Bernoulli(rate=0.3), SEQUENCE, "28b00dcb4185f2a7"),
        (Bernoulli(rate=0.5, shared="time"), SEQUENCE, "0462c8712d735ac8"),
        (Bernoulli(rate=0.9, shared="height width"), IMAGE, "ffeb1c655d492b1c"),
        (PerView(rates=(0.1, 0.4)), SEQUENCE, "4ca354cd23caef7c"),
        (StochasticDepth(rate=0.4), IMAGE, "f929f5209821f463"),
        (DropConnect(rate=0.2), SEQUENCE, "0e1a18b11716d04b"),
        (DropBlock(rate=0.3, size=3), IMAGE, "ac167cc952a3905f"),
        (DropBlock(rate=0.2, size=2, shared="unit"), SEQUENCE, "e1485c0fee7622d3"),
        (Tiles(size=2, stride=2), IMAGE, "d0350abbaf192adf"),
        (Tiles(size=2, stride=1, repeat=2, rotate=30, shear_x=0.5), IMAGE, "767aa6e2fc72cf0b"),
        (Tiles(size=1, stride=2, fresh="height width"), IMAGE, "fe5594de2330c572"),
        (Spans(size=2, stride=3), SEQUENCE, "ba77e46d825c8b8e"),
        (Spans(size=1, stride=2, shared="unit"), SEQUENCE, "faab6ffebaa6e2e3"),
    ],
    ids=repr,
)
def test_a_pattern_draws_the_mask_it_always_drew(pattern: Pattern, axes: Axes, want: str):
    assert digest(pattern.draw(axes, Source(KEY, step=3, view=1))) == want


@pytest.mark.parametrize(
    ("dtype", "sizes", "want"),
    [
        (torch.float32, (2,), "d248f55cff5e2fa1a7caded15a6d0219"),
        (torch.float32, (6, 7), "999842b6f7382032a88a9f6460ff4de1"),
        (torch.float32, (4, 3, 5, 7), "2f00657364f4aa601924d34bdf4bb942"),
        (torch.float32, (2, 70001), "4912acbb583cf3483ced406ff664d5e3"),
        (torch.float16, (2,), "529719f92bef4b1e4e824f11ea365f98"),
        (torch.float16, (6, 7), "01342dea9f46256aca339707de1133e5"),
        (torch.float16, (4, 3, 5, 7), "f8dec8e2b61b9032a8365fd3381db978"),
        (torch.float16, (2, 70001), "fb1c4c23c42881627a35a4d24809fbf8"),
        (torch.bfloat16, (2,), "939879be5cfa8d3e4e824f11ea365f98"),
        (torch.bfloat16, (6, 7), "89f1e61e97193fe8f622d3d7513f6e7d"),
        (torch.bfloat16, (4, 3, 5, 7), "a0dfa52591347125b45ae47c75e6f51f"),
        (torch.bfloat16, (2, 70001), "8aa30162c39694410cda8ec77abd5675"),
        (torch.float64, (2,), "5e01061a0acb03334a6ed04a4ca74d6e"),
        (torch.float64, (6, 7), "a4e3895d3463942eca7472bf2fb14a6f"),
        (torch.float64, (4, 3, 5, 7), "0014d71ad1352ce083544a54feb5535a"),
        (torch.float64, (2, 70001), "8e6206e50dbcd2003712345c0123ca1c"),
    ],
    ids=str,
)
def test_keyed_dropout_returns_what_it_always_returned(dtype, sizes, want):
    x = torch.arange(1, 1 + torch.Size(sizes).numel(), dtype=torch.float64).view(sizes)
    x = (x / x.numel()).to(dtype)
    assert (
        digest(keyed_dropout(x, (KEY,), 0.3)) + digest(keyed_dropout(x, (KEY, OTHER), 0.7)) == want
    )


def test_word_types_that_fall_are_those_that_always_fell():
    ids = torch.arange(60).view(3, 20) ** 2 % 23
    masks = [WordDropout(rate=0.4, per=per).mask(ids, Source(KEY)) for per in ("row", "table")]
    assert [digest(mask) for mask in masks] == ["4daa35e58a42bdeb", "4b7f265b90ec6c1f"]


def test_normal_numbers_are_those_they_always_were():
    mask = Gaussian(rate=0.4).draw(Axes.read("unit", (6,)), Source(KEY))
    want = torch.tensor([0.674602, 0.524769, -0.086199, 0.92038, 0.961199, 1.094711])
    torch.testing.assert_close(mask, want, rtol=1e-5, atol=1e-6)
