"""Sizes of pictures: what suits a set of them, and which part of each is kept."""

import random

import pytest

from dropsmith.tasks.images.picture_size import LARGEST, centre_box, usual_size


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 5, (28, 28)),
        ([(24, 40)] * 5, (24, 40)),
        ([(32, 32), (30, 34)], (32, 32)),
        ([(480, 640)] * 5, (64, 88)),
        ([(640, 480)] * 5, (88, 64)),
        ([(480, 640), (640, 480)] * 5, (64, 64)),
        ([(100, 500)] * 5, (64, 64)),
        ([(3, 3)] * 4 + [(4, 4)], (8, 8)),
        ([(45, 45), (47, 47), (300, 300)], (48, 48)),
    ],
)
def test_the_size_is_that_of_most_pictures_within_what_a_small_model_takes(sizes, expected):
    assert usual_size(sizes) == expected


def test_the_part_that_is_kept_is_the_largest_around_the_centre_of_the_wanted_shape():
    draw = random.Random(0)
    for _ in range(200):
        width, height = draw.randint(1, 500), draw.randint(1, 500)
        size = draw.randint(1, 300), draw.randint(1, 300)
        left, top, right, bottom = centre_box(width, height, size)
        assert left == pytest.approx(width - right, abs=1e-9)
        assert top == pytest.approx(height - bottom, abs=1e-9)
        assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0])
        assert min(left, top) == pytest.approx(0, abs=1e-9)
        assert left >= -1e-9
        assert top >= -1e-9


def test_the_largest_size_that_is_found_is_bounded():
    assert max(usual_size([(5_000, 5_000)] * 3)) == LARGEST
