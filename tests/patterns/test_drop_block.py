"""Blocks reach the asked rate at every pixel, whatever the map and the block."""

from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.axes import Axes
from dropsmith.errors import AxisError, PatternError
from dropsmith.patterns import DropBlock
from dropsmith.patterns.drop_block import _all_in_a_run
from dropsmith.rng import Key, Source

IMAGE = "batch channel height width"


def draw(pattern, names, sizes, seed=0):
    return pattern.draw(Axes.read(names, sizes), Source(Key.of(seed)))


@pytest.mark.parametrize(
    ("size", "height", "width"),
    [(1, 5, 4), (2, 6, 6), (3, 9, 4), (4, 5, 11), (7, 14, 14), (7, 3, 5), (6, 2, 1), (5, 1, 8)],
)
def test_every_pixel_is_dropped_at_the_asked_rate(size, height, width):
    rows, rate = 6000, 0.3
    mask = draw(DropBlock(rate=rate, size=size), IMAGE, (rows, 1, height, width))
    dropped = (mask == 0).double().mean(dim=(0, 1))
    # Rows are independent, so a pixel's share is a binomial; six standard errors for 200 pixels.
    assert (dropped - rate).abs().max().item() < 6 * sqrt(rate * (1 - rate) / rows)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_every_step_of_a_sequence_is_dropped_at_the_asked_rate(rate):
    mask = draw(DropBlock(rate=rate, size=4), "batch time unit", (4000, 9, 1))
    dropped = (mask == 0).double().mean(dim=(0, 2))
    assert (dropped - rate).abs().max().item() < 6 * sqrt(rate * (1 - rate) / 4000)


@pytest.mark.parametrize("size", [2, 3])
def test_what_is_dropped_is_made_of_whole_blocks(size):
    dropped = draw(DropBlock(rate=0.3, size=size), IMAGE, (40, 1, 12, 9))[:, 0] == 0
    for row in dropped:
        covered = torch.zeros_like(row)
        for top in range(1 - size, 12):
            for left in range(1 - size, 9):
                rows = slice(max(top, 0), top + size)
                columns = slice(max(left, 0), left + size)
                if row[rows, columns].all():
                    covered[rows, columns] = True
        assert torch.equal(covered, row)


def test_neighbours_fall_together_more_often_than_strangers():
    dropped = (draw(DropBlock(rate=0.3, size=3), IMAGE, (3000, 1, 8, 8))[:, 0] == 0).double()
    # Pixels `d` apart in one line share (3 - d)/3 of their corners, so both are kept with chance
    # 0.7 ** (2 - (3 - d) / 3) up to distance 3.
    for distance, both in ((1, 0.7 ** (4 / 3)), (2, 0.7 ** (5 / 3)), (3, 0.49), (5, 0.49)):
        kept = (1 - dropped[..., distance:]) * (1 - dropped[..., :-distance])
        per_row = kept.mean(dim=(1, 2))
        bound = 5 * per_row.std().item() / sqrt(len(per_row))
        assert abs(per_row.mean().item() - both) < bound, f"distance {distance}"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_each_row_that_keeps_something_has_mean_one(dtype):
    # 90,000 kept pixels a row: a count in float16 would overflow at 65,504.
    x = torch.ones(3, 1, 300, 350, dtype=dtype)
    out = DropBlock(rate=0.1, size=5).drop(x, tuple(IMAGE.split()), [Source(Key.of(0))])
    assert out.dtype == dtype
    means = out.double().mean(dim=(1, 2, 3))
    assert (means - 1).abs().max().item() < torch.finfo(dtype).eps


def test_a_row_does_not_depend_on_the_rows_beside_it():
    # Dividing by the share kept in the batch would let them meet.
    mask = draw(DropBlock(rate=0.4, size=3), IMAGE, (50, 2, 6, 6))
    for row in mask:
        values = row.unique()
        kept = (row > 0).double().mean().item()
        assert values.tolist() == pytest.approx([0.0, 1 / kept])


def test_a_row_that_keeps_nothing_is_zero_and_finite():
    mask = draw(DropBlock(rate=0.9, size=4), IMAGE, (500, 1, 2, 2))
    assert mask.isfinite().all()
    assert (mask.sum(dim=(1, 2, 3)) == 0).any()


def test_one_map_serves_all_channels_when_shared():
    assert draw(DropBlock(rate=0.3, shared="channel"), IMAGE, (2, 5, 8, 8)).shape == (2, 1, 8, 8)
    alone = draw(DropBlock(rate=0.3, size=2), IMAGE, (2, 5, 8, 8))
    assert not torch.equal(alone[:, :1].expand_as(alone), alone)


def test_blocks_of_one_unit_divide_flips_by_what_they_kept():
    mask = draw(DropBlock(rate=0.3, size=1), IMAGE, (4, 3, 8, 8))
    assert (mask == 0).double().mean().item() == pytest.approx(0.3, abs=5 * sqrt(0.21 / 768))


def test_an_image_in_time_has_blocks_in_its_picture_and_not_in_time():
    names = "batch time channel height width"
    assert draw(DropBlock(rate=0.3, size=3, shared="time"), names, (2, 4, 1, 6, 6)).shape[1] == 1


def test_both_times_of_attention_make_a_map():
    mask = draw(DropBlock(rate=0.2, size=5), "batch head time time", (800, 1, 6, 6))
    dropped = (mask == 0).double().mean(dim=(0, 1))
    assert (dropped - 0.2).abs().max().item() < 6 * sqrt(0.16 / 800)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), max_size=40), st.integers(1, 12))
def test_runs_are_what_a_loop_finds(flips, size):
    canvas = torch.tensor(flips + [True] * (size - 1), dtype=torch.bool)
    want = [all(canvas[start : start + size]) for start in range(len(canvas) - size + 1)]
    assert _all_in_a_run(canvas, 0, size).tolist() == want


@pytest.mark.parametrize("size", [0, -1, 2.0, "7", None, True])
def test_a_block_is_a_whole_number_of_pixels(size):
    with pytest.raises(PatternError, match="size is a number of pixels, 1 or more"):
        DropBlock(rate=0.1, size=size)


def test_a_site_without_neighbours_is_refused():
    with pytest.raises(AxisError, match=r"(?s)height and width, or time.*batch unit"):
        draw(DropBlock(rate=0.1), "batch unit", (2, 3))
    with pytest.raises(AxisError, match=r'rule\(..., axes="batch channel'):
        draw(DropBlock(rate=0.1), "batch ? ?", (2, 3, 4))


@pytest.mark.parametrize(("names", "shared"), [(IMAGE, "height"), ("batch time unit", "time")])
def test_sharing_along_a_block_is_refused(names, shared):
    with pytest.raises(PatternError, match=f"cannot share along '{shared}'"):
        draw(DropBlock(rate=0.1, shared=shared), names, (2,) * len(names.split()))
