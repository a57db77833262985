import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.rng import Key
from dropsmith.tasks.images.augmentation import Crops, Cutout, Flips, RandAugment

EVERY = [Flips(), Crops(border=3), Cutout(size=4)]


def images(count=200, height=9, width=7):
    """Every pixel another number, and none of them black."""
    numbers = torch.arange(1, count * 3 * height * width + 1, dtype=torch.float64)
    return numbers.view(count, 3, height, width)


@pytest.mark.parametrize("change", EVERY, ids=repr)
def test_what_happens_hangs_on_the_key_alone(change):
    x = images()
    before = x.clone()
    first, again, other = (change(x, Key.of(seed)) for seed in (1, 1, 2))
    assert torch.equal(x, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == x.shape
    assert first.dtype == x.dtype


def test_half_of_the_images_are_turned_and_the_others_are_as_they_were():
    x = images(1000)
    found = Flips()(x, Key.of(0))
    turned = sum(
        torch.equal(one, torch.stack([row.flip(-1) for row in old]))
        for one, old in zip(found, x, strict=True)
    )
    same = sum(torch.equal(one, old) for one, old in zip(found, x, strict=True))
    assert turned + same == 1000
    # Five standard deviations of 1,000 fair coins.
    assert abs(turned - 500) <= 5 * (1000 * 0.25) ** 0.5


def test_a_crop_is_a_window_of_the_image_and_its_black_border():
    x, border = images(300), 2
    found = Crops(border=border)(x, Key.of(0))
    at = []
    for one, old in zip(found, x, strict=True):
        canvas = torch.zeros(3, 9 + 2 * border, 7 + 2 * border, dtype=x.dtype)
        canvas[:, border:-border, border:-border] = old
        places = [
            (top, left)
            for top in range(2 * border + 1)
            for left in range(2 * border + 1)
            if torch.equal(one, canvas[:, top : top + 9, left : left + 7])
        ]
        assert len(places) == 1
        at += places
    assert {top for top, _ in at} == {left for _, left in at} == set(range(5))
    # The two directions are drawn apart: all 25 places turn up, each with chance 1 in 25.
    assert len(set(at)) == 25


def test_a_cut_is_a_square_that_may_reach_beyond_the_border():
    x, size = images(500), 4
    found = Cutout(size=size)(x, Key.of(0))
    shapes = set()
    for one, old in zip(found, x, strict=True):
        black = one == 0
        assert torch.equal(black[0], black[1])
        assert torch.equal(one[~black], old[~black])
        rows, columns = black[0].any(1), black[0].any(0)
        # All of the rectangle that its rows and columns span, in one piece.
        assert torch.equal(black[0], rows[:, None] & columns[None, :])
        for line in (rows, columns):
            where = line.nonzero().flatten()
            assert int(where[-1] - where[0]) + 1 == len(where) <= size
        shapes.add((int(rows.sum()), int(columns.sum())))
    assert (size, size) in shapes
    assert min(rows for rows, _ in shapes) == size // 2


def test_every_pixel_is_cut_as_often_as_the_paper_has_it():
    size, side, count = 4, 8, 4000
    found = Cutout(size=size)(torch.ones(count, 1, side, side), Key.of(3))
    shares = (found == 0).double().mean((0, 1))
    for row, column in ((0, 0), (4, 4), (7, 3)):
        reach = [
            sum(place - size // 2 <= at < place + size // 2 for place in range(side)) / side
            for at in (row, column)
        ]
        chance = reach[0] * reach[1]
        spread = (chance * (1 - chance) / count) ** 0.5
        assert abs(float(shares[row, column]) - chance) <= 5 * spread


@pytest.fixture
def kornia():
    return pytest.importorskip("kornia")


def test_random_operations_come_back_with_their_key_and_leave_torchs_generator(kornia):
    x = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    change = RandAugment(group_size=8)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = change(x, Key.of(1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, change(x, Key.of(1)))
    assert not torch.equal(first, change(x, Key.of(2)))
    assert first.shape == x.shape
    assert first.min() >= 0
    assert first.max() <= 1


def test_random_operations_leave_the_generators_of_gpus(monkeypatch, seeded_on_gpus):
    from dropsmith.tasks.images import augmentation

    monkeypatch.setattr(augmentation, "_kornia", lambda *_: lambda x: x + torch.rand(()))
    x, change = torch.zeros(2, 3, 8, 8), RandAugment()
    assert torch.equal(change(x, Key.of(1)), change(x, Key.of(1)))
    assert not torch.equal(change(x, Key.of(1)), change(x, Key.of(2)))
    assert seeded_on_gpus == []


def test_kornia_is_told_how_many_operations_of_what_strength_on_how_many_images(
    kornia, monkeypatch
):
    from dropsmith.tasks.images import augmentation

    told = []
    monkeypatch.setattr(
        augmentation, "_kornia", lambda *given: lambda x: (told.append((given, len(x))), x)[1]
    )
    RandAugment(operations=3, magnitude=9, group_size=4)(torch.rand(10, 3, 8, 8), Key.of(0))
    assert told == [((3, 9), 4), ((3, 9), 4), ((3, 9), 2)]
    monkeypatch.undo()
    made = augmentation._kornia(3, 9)
    assert (made.n, made.m) == (3, 9)


def test_kornia_is_asked_for_where_it_is_missing(monkeypatch):
    import sys

    from dropsmith.errors import MissingExtra
    from dropsmith.tasks.images import augmentation

    augmentation._kornia.cache_clear()
    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    with pytest.raises(MissingExtra, match=r"RandAugment[\s\S]*vision"):
        RandAugment()(torch.rand(1, 3, 8, 8), Key.of(0))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Crops(border=0), "border is a number of pixels"),
        (lambda: Cutout(size=1.5), "size is a number of pixels"),
        (lambda: RandAugment(magnitude=30), "below 30"),
        (lambda: RandAugment(operations=0), "at least one operation"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, said):
    with pytest.raises(TaskError, match=said):
        make()
