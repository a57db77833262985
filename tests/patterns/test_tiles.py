"""Tiles fall on every pixel equally often, wherever they are turned, and rows keep their mean."""

from itertools import product
from math import cos, radians, sin, sqrt

import numpy as np
import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.errors import AxisError, PatternError
from dropsmith.patterns import Bernoulli, DropBlock, Tiles
from dropsmith.patterns._on_arcs import PART
from dropsmith.patterns._runs import places
from dropsmith.rng import Key, Source

IMAGE = "batch channel height width"


def draw(pattern, sizes, seed=0, names=IMAGE):
    return pattern.draw(Axes.read(names, sizes), Source(Key.of(seed)))


def drop(pattern, x, seed=0, names=IMAGE):
    return pattern.drop(x, tuple(names.split()), [Source(Key.of(seed))])


def spared(pattern, sizes, seed=0):
    return pattern.spared_rows(Axes.read(IMAGE, sizes), Source(Key.of(seed)))


def dropped_of(mask):
    """One boolean picture for each row and channel."""
    return (mask == 0).flatten(0, 1)


def check_shares(found, want, count):
    """Each share of `count` independent draws is within six standard errors."""
    assert (found - want).abs().max().item() <= 6 * sqrt(want * (1 - want) / count)


EVERYWHERE = [
    (Tiles(size=2, stride=2), 6, 6),
    (Tiles(size=3, stride=1), 5, 9),
    (Tiles(size=2, stride=3, repeat=1), 4, 7),
    (Tiles(size=2, stride=1, repeat=2), 7, 5),
    (Tiles(size=3, stride=2, repeat=3), 9, 8),
    (Tiles(size=2, stride=2, rotate=30), 5, 8),
    (Tiles(size=3, stride=3, rotate=-200, shear_x=0.4), 6, 4),
    (Tiles(size=3, stride=1, repeat=2, rotate=45, shear_x=0.5, shear_y=-0.3), 6, 9),
    (Tiles(size=4, stride=1, repeat=1, shear_y=1.5), 8, 8),
    (Tiles(size=2, stride=2, repeat=2, shear_x=1.0), 6, 5),
    (Tiles(size=4, stride=4, side=10), 5, 6),
]


@pytest.mark.parametrize(("pattern", "height", "width"), EVERYWHERE, ids=repr)
def test_every_pixel_is_dropped_equally_often_corners_too(pattern, height, width):
    rows = 8000
    sizes = (rows, 2, height, width)
    assert not bool(spared(pattern, sizes).any())
    shares = (draw(pattern, sizes) == 0).double().mean((0, 1))
    # The two channels of a row have places of their own.
    check_shares(shares, pattern.share(Axes.read(IMAGE, sizes)), 2 * rows)


def placements(height, width, size, stride, repeat):
    """Every picture there is, made pixel by pixel: a set of runs down times a set across."""

    def lines(length):
        if repeat is None:
            period = size + stride
            return [
                [(place + step) % period < size for step in range(length)]
                for place in range(period)
            ]
        period = size + stride
        group = [step % period < size for step in range(repeat * period - stride)]
        room = len(group) + length - 1
        canvas = group + [False] * (2 * room)
        return [[canvas[(place + step) % room] for step in range(length)] for place in range(room)]

    return [
        tuple(tuple(a and b for b in across) for a in down)
        for down, across in product(lines(height), lines(width))
    ]


@pytest.mark.parametrize(
    ("size", "stride", "repeat", "height", "width"),
    [(2, 1, None, 4, 5), (1, 2, None, 3, 3), (2, 1, 1, 3, 4), (2, 1, 2, 4, 3), (1, 0, 2, 3, 2)],
)
def test_upright_tiles_take_each_of_their_placements_equally_often(
    size, stride, repeat, height, width
):
    count = 20000
    want = placements(height, width, size, stride, repeat)
    pattern = Tiles(size=size, stride=stride, repeat=repeat)
    pictures = dropped_of(draw(pattern, (count // 4, 4, height, width)))
    found: dict = {}
    for picture in pictures.tolist():
        key = tuple(map(tuple, picture))
        found[key] = found.get(key, 0) + 1
    assert set(found) <= set(want)
    for picture in set(want):
        chance = want.count(picture) / len(want)
        bound = 6 * sqrt(chance * (1 - chance) * count) + 1
        assert abs(found.get(picture, 0) - chance * count) < bound


def by_definition(pattern, sizes, seed):
    """The picture from the matrices that turn and shear, in float64, and how near to an edge."""
    angle = radians(pattern.rotate)
    turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    shear_x = np.array([[1, pattern.shear_x], [0, 1]])
    shear_y = np.array([[1, 0], [pattern.shear_y, 1]])
    matrix, period = turn @ shear_x @ shear_y, pattern.size + pattern.stride
    words = places(Source(Key.of(seed)), Axes.read(IMAGE, sizes), "", (2, 3), (None, None))
    down, across = (word.astype(np.int64).reshape(*sizes[:2], 1) & 0x7FFFFFFF for word in words)
    y, x = (one.ravel() for one in np.mgrid[: sizes[2], : sizes[3]])
    if pattern.repeat is None:
        # A place along each axis of the tiling.
        v, u = np.linalg.inv(matrix)[::-1] @ np.stack([x, y])
        v, u = v + down / 2**31 * period, u + across / 2**31 * period
        inside = (v % period < pattern.size) & (u % period < pattern.size)
    else:
        # A place on a canvas that has room for the corners of the group beside the map.
        side = pattern.repeat * period - pattern.stride
        corners = matrix @ np.array([[0, 0, side, side], [0, side, 0, side]])
        low, long = corners.min(1), np.ptp(corners, axis=1)
        canvas = np.array([sizes[3], sizes[2]]) - 1 + long
        away_x = (x + across / 2**31 * canvas[0]) % canvas[0] + low[0]
        away_y = (y + down / 2**31 * canvas[1]) % canvas[1] + low[1]
        u, v = np.einsum("ij,j...->i...", np.linalg.inv(matrix), np.stack([away_x, away_y]))
        within = [(at >= 0) & (at < side) & (at % period < pattern.size) for at in (v, u)]
        inside = within[0] & within[1]
    near = [np.abs(at - np.round(at)) < 1e-4 for at in (v, u)]
    return inside.reshape(sizes), (near[0] | near[1]).reshape(sizes)


@pytest.mark.parametrize(
    "pattern",
    [
        Tiles(size=3, stride=2, rotate=30),
        Tiles(size=2, stride=2, shear_x=0.35, shear_y=0.2),
        Tiles(size=3, stride=1, repeat=2, rotate=100, shear_x=-0.6),
        Tiles(size=5, stride=0, repeat=1, rotate=12.5, shear_y=0.75),
    ],
    ids=repr,
)
def test_turned_and_sheared_tiles_are_those_of_their_matrices(pattern):
    sizes = (5, 3, 20, 31)
    want, near = by_definition(pattern, sizes, seed=4)
    found = (draw(pattern, sizes, seed=4) == 0).numpy()
    assert near.mean() < 0.01
    assert np.array_equal(found[~near], want[~near])
    assert want.any()


def test_a_quarter_turn_is_a_transpose_and_a_full_one_is_nothing():
    plain, turned = Tiles(size=2, stride=3), Tiles(size=2, stride=3, rotate=90)
    assert torch.equal(
        draw(Tiles(size=2, stride=3, rotate=360), (4, 2, 7, 9)), draw(plain, (4, 2, 7, 9))
    )
    kinds = [
        {tuple(map(tuple, one)) for one in dropped_of(draw(pattern, (400, 1, 6, 6))).tolist()}
        for pattern in (plain, turned)
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shared", ["", "channel"])
def test_each_row_keeps_its_mean_in_every_precision(dtype, shared):
    # 150,000 pixels a row: a count in float16 would overflow at 65,504.
    x = torch.ones(3, 2, 300, 250, dtype=dtype)
    out = drop(Tiles(size=5, stride=6, rotate=15, shared=shared), x)
    assert out.dtype == dtype
    means = out.double().mean(dim=(1, 2, 3))
    assert (means - 1).abs().max().item() < torch.finfo(dtype).eps


def test_a_row_is_divided_by_its_own_kept_share():
    mask = draw(Tiles(size=3, stride=2, repeat=1), (50, 2, 6, 6))
    for row in mask:
        kept = (row > 0).double().mean().item()
        assert row[row > 0].unique().tolist() == pytest.approx([1 / kept])


@pytest.mark.parametrize(
    ("pattern", "sizes"),
    [
        (Tiles(size=2, stride=0), (6, 3, 5, 5)),
        (Tiles(size=2, stride=0, rotate=20), (6, 3, 5, 5)),
        (Tiles(size=1, stride=1, shared="channel"), (40, 4, 1, 1)),
        (Tiles(size=9, stride=1, shared="channel"), (40, 2, 3, 4)),
        (Tiles(size=6, stride=0, repeat=1, shared="channel"), (60, 1, 2, 3)),
    ],
    ids=repr,
)
def test_a_row_that_would_keep_nothing_is_left_whole_and_counted(pattern, sizes):
    mask, alone = draw(pattern, sizes), spared(pattern, sizes)
    assert alone.shape == (sizes[0], 1, 1, 1)
    assert bool(alone.any())
    assert torch.equal(mask[alone.flatten()], torch.ones_like(mask[alone.flatten()]))
    assert mask.isfinite().all()
    others = mask[~alone.flatten()]
    if len(others):
        means = others.expand(-1, *sizes[1:]).mean((1, 2, 3))
        torch.testing.assert_close(means, torch.ones_like(means))
    # One pixel, half of the time covered: of the two rows that are possible one is spared.
    if sizes[2:] == (1, 1):
        assert abs(alone.double().mean().item() - 0.25) < 5 * sqrt(0.25 * 0.75 / sizes[0])


def test_maps_smaller_than_a_block_lose_all_or_a_part():
    mask = draw(Tiles(size=5, stride=5, shared="channel"), (500, 1, 2, 3))
    assert 0 < (mask == 0).double().mean() < 0.25
    assert bool(((mask == 0).any((1, 2, 3))).any())


def test_every_row_and_channel_has_a_place_of_its_own_unless_shared():
    own = dropped_of(draw(Tiles(size=2, stride=3), (3, 4, 9, 9)))
    assert len({tuple(one.flatten().tolist()) for one in own}) > 8
    assert draw(Tiles(size=2, stride=3, shared="channel"), (3, 4, 9, 9)).shape == (3, 1, 9, 9)
    assert draw(Tiles(size=2, stride=3, shared="batch"), (3, 4, 9, 9)).shape == (1, 4, 9, 9)


def test_sizes_counted_on_one_map_are_scaled_to_another():
    scaled = Tiles(size=4, stride=6, side=8)
    assert torch.equal(draw(scaled, (3, 2, 16, 20)), draw(Tiles(size=8, stride=12), (3, 2, 16, 20)))
    assert torch.equal(draw(scaled, (3, 2, 20, 8)), draw(Tiles(size=4, stride=6), (3, 2, 20, 8)))
    assert torch.equal(draw(scaled, (3, 2, 1, 9)), draw(Tiles(size=1, stride=1), (3, 2, 1, 9)))
    closed = Tiles(size=4, stride=0, side=8)
    assert bool(spared(closed, (3, 2, 4, 4)).all())


@pytest.mark.parametrize(
    "pattern",
    [
        Tiles(size=2, stride=2),
        Tiles(size=3, stride=1, repeat=2, rotate=20),
        Tiles(size=1, stride=2, fresh="width"),
        Tiles(size=2, stride=0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("views", [1, 2])
def test_large_tensors_in_parts_and_in_another_memory_order_have_the_same_mask(pattern, views):
    sizes = (6, 33, 40, 32)
    x = torch.linspace(1, 2, 6 * 33 * 40 * 32).view(sizes)
    assert x.numel() > PART
    sources = [Source(Key.of(seed)) for seed in range(views)]
    names = tuple(IMAGE.split())
    mask = torch.cat(
        [pattern.draw(Axes(names, (6 // views, *sizes[1:])), source) for source in sources]
    )
    last = x.to(memory_format=torch.channels_last).requires_grad_()
    out = pattern.drop(last, names, sources)
    assert torch.equal(out, x * mask)
    assert torch.equal(pattern.drop(x, names, sources), x * mask)
    assert out.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(out.sum(), last)
    assert torch.equal(gradient, mask)


# Points of the space. Which are dropped is distributed exactly as the older method distributes it
# (plain, channel), or marginally and in shape (DropBlock). The scale is the row's own share.


def subsets(dropped):
    """How often each combination of dropped units occurs, of rows `[row, unit]`."""
    codes = (dropped.long() * 2 ** torch.arange(dropped.shape[1])).sum(1)
    return torch.bincount(codes, minlength=2 ** dropped.shape[1]).double() / len(codes)


def check_independent(found, rate, units, count):
    for code, share in enumerate(found.tolist()):
        lost = bin(code).count("1")
        want = rate**lost * (1 - rate) ** (units - lost)
        # A row that loses all is left whole, and looks like one that loses nothing.
        want = {0: want + rate**units, units: 0.0}.get(lost, want)
        assert abs(share - want) <= 6 * sqrt(want * (1 - want) / count), (code, share, want)


def test_channel_dropout_is_a_point_of_the_space():
    # (3 / 5)² = 0.36: channels fall independently and whole, at that rate.
    pattern = Tiles(size=3, stride=2, shared="height width")
    count = 20000
    mask = draw(pattern, (count, 3, 4, 4))
    assert mask.shape == draw(Bernoulli(rate=0.36, shared="height width"), (count, 3, 4, 4)).shape
    check_independent(subsets(mask[:, :, 0, 0] == 0), 0.36, 3, count)
    assert pattern.share(Axes.read(IMAGE, (1, 3, 4, 4))) == pytest.approx(0.36)


def test_plain_dropout_is_a_point_of_the_space():
    pattern = Tiles(size=1, stride=1, fresh="height width")
    count = 20000
    mask = draw(pattern, (count, 1, 2, 2))
    check_independent(subsets((mask == 0).flatten(1)), 0.25, 4, count)


def test_a_block_of_drop_block_is_a_point_of_the_space():
    # DropBlock has a chance for each block, Tiles one place for all: the shape is the same, and
    # the chance of each pixel; how many blocks there are is not.
    size, height, width, rows = 3, 6, 8, 8000
    pattern = Tiles(size=size, stride=0, repeat=1)
    mask = draw(pattern, (rows, 1, height, width))
    rate = pattern.share(Axes.read(IMAGE, (rows, 1, height, width)))
    assert rate == pytest.approx(size**2 / ((height + size - 1) * (width + size - 1)))
    for one in (pattern, DropBlock(rate=rate, size=size)):
        shares = (draw(one, (rows, 1, height, width)) == 0).double().mean((0, 1))
        check_shares(shares, rate, rows)
    for picture in dropped_of(mask)[:300]:
        if picture.any():
            down, across = picture.any(1).nonzero().flatten(), picture.any(0).nonzero().flatten()
            assert len(down) * len(across) == int(picture.sum())
            assert int(down[-1] - down[0]) < size
            assert int(across[-1] - across[0]) < size


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0, "stride": 1}, "size is a whole number, 1 or more; got 0"),
        ({"size": 2.0, "stride": 1}, "size is a whole number"),
        ({"size": 2, "stride": -1}, "stride is a whole number, 0 or more; got -1"),
        ({"size": 2, "stride": True}, "stride is a whole number"),
        ({"size": 2, "stride": 1, "repeat": 0}, "repeat is a whole number, 1 or more"),
        ({"size": 2, "stride": 1, "side": 0}, "side is a whole number, 1 or more"),
        ({"size": 2, "stride": 1, "rotate": "30"}, "rotate is a finite number, got '30'"),
        ({"size": 2, "stride": 1, "shear_x": float("inf")}, "shear_x is a finite number"),
        ({"size": 2, "stride": 1, "shared": "chanel"}, "did you mean 'channel'"),
        (
            {"size": 2, "stride": 1, "fresh": "channel"},
            "fresh names axes of: height width; got 'channel'",
        ),
        ({"size": 2, "stride": 1, "fresh": None}, "fresh names axes of: height width; got None"),
        (
            {"size": 2, "stride": 1, "shared": "height", "fresh": "height"},
            "'height' is both shared and fresh",
        ),
    ],
)
def test_settings_that_cannot_mean_anything_are_refused(settings, words):
    with pytest.raises(PatternError, match=words):
        Tiles(**settings)


def test_a_site_without_a_picture_is_refused():
    with pytest.raises(AxisError, match=r"(?s)needs axes height and width.*batch time unit"):
        draw(Tiles(size=2, stride=1), (2, 3, 4), names="batch time unit")
    with pytest.raises(AxisError, match=r'rule\(..., axes="batch channel height width"'):
        draw(Tiles(size=2, stride=1), (2, 3, 4, 4), names="batch ? ? ?")
