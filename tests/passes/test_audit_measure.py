"""What noise did to a tensor is counted element by element, and told view from view."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.passes.audit_measure import MIN_ELEMENTS, Draw, masks_differ, ran_once
from noise.zoo import seeded

X = seeded(8, 10)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=40, max_size=40))
def test_counts_are_those_of_a_loop_over_the_elements(mask):
    before, factor = X.flatten()[:40], torch.tensor(mask)
    draw = Draw.of(before, before * factor)
    assert draw.valid_count == 40
    assert draw.drop_count == sum(value == 0 for value in mask)
    assert draw.change_count == sum(value != 1 for value in mask)


def test_what_was_zero_or_infinite_before_says_nothing():
    before = torch.tensor([0.0, -torch.inf, torch.nan, 1.0, 2.0])
    draw = Draw.of(before, torch.tensor([0.0, 0.0, 0.0, 0.0, 4.0]))
    assert (draw.valid_count, draw.drop_count, draw.change_count) == (2, 1, 2)


def test_what_nearly_vanished_says_nothing_either():
    before = torch.tensor([1e-44, 1.0])
    assert Draw.of(before, torch.tensor([0.0, 1.0])).change_count == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_rounding_is_no_noise(dtype):
    before = X.to(dtype)
    after = before * (1 + torch.finfo(dtype).eps)
    assert not torch.equal(before, after)
    assert Draw.of(before, after).change_count == 0


def test_alpha_dropout_drops_to_another_value_than_zero():
    torch.manual_seed(0)
    x = seeded(100, 100)
    after = F.alpha_dropout(x, 0.3, training=True)
    draw = Draw.of(x, after)
    dropped = int((after == after.flatten().mode().values).sum())
    assert draw.drop_count == dropped
    assert abs(dropped / 10_000 - 0.3) < 5 * (0.21 / 10_000) ** 0.5


def test_noise_that_only_scales_drops_nothing():
    draw = Draw.of(X, X * (1 + 0.1 * seeded(8, 10, seed=1)))
    assert (draw.drop_count, draw.change_count > 0) == (0, True)
    ones = torch.ones(50)
    assert Draw.of(ones, ones * 2).drop_count == 0


@pytest.mark.parametrize(
    ("sizes", "axes", "dim"),
    [
        ((8, 10), ("batch", "unit"), 0),
        ((5, 8, 3), ("time", "batch", "unit"), 1),
        ((8, 8, 3), ("time", "batch", "unit"), 1),
        ((5, 8, 3), (), 1),
        ((16, 5, 5), (), 0),
    ],
)
def test_views_are_cut_along_the_axis_that_counts_rows(sizes, axes, dim):
    before = seeded(*sizes)
    after = before.clone()
    after.narrow(dim, 0, 1).zero_()
    first, second = Draw.of(before, after, axes, stacked=8).patterns
    assert not torch.equal(first, second)
    assert bool((second == second.flatten()[0]).all())


def test_a_tensor_without_rows_and_a_pass_of_one_view_are_not_cut():
    assert len(Draw.of(X, X, (), stacked=3).patterns) == 0
    assert len(Draw.of(X, X).patterns) == 1


def test_views_differ_where_their_patterns_do():
    mask = 2.0 * (seeded(*X[4:].shape, seed=5) > 0)
    same, other = X * torch.cat([mask, mask]), X.clone()
    other[4:] = 0
    assert masks_differ([Draw.of(X, same, (), 8)]) is False
    assert masks_differ([Draw.of(X, other, (), 8)]) is True


def test_looped_passes_are_compared_call_by_call():
    masks = [2.0 * (seeded(*X.shape, seed=seed) > 0) for seed in (5, 6)]
    first, second = [(Draw.of(X, X * m, view=0), Draw.of(X, X * m, view=1)) for m in masks]
    assert masks_differ([first[0], second[0], first[1], second[1]]) is False
    assert masks_differ([first[0], second[0], second[1], second[1]]) is True
    # In the second view a layer between them was skipped.
    assert masks_differ([first[0], second[0], first[1]]) is False


@pytest.mark.parametrize("view", [0, 1])
def test_a_pass_that_ran_alone_does_not_tell_views_apart(view):
    draws = [Draw.of(X, X * factor, view=view) for factor in (2, 0)]
    assert masks_differ(draws) is None
    assert masks_differ([Draw.of(X, X, view=view)]) is False
    assert ran_once(draws)
    assert not ran_once([Draw.of(X, X, view=0), Draw.of(X, X, view=1)])
    assert not ran_once([Draw.of(X, X, (), 8)])


def test_rows_that_cannot_be_told_do_not_tell_views_apart():
    picked, axes = seeded(10, 20), ("batch", "unit")
    assert masks_differ([Draw.of(picked, F.dropout(picked, 0.5), axes, stacked=8)]) is None
    assert masks_differ([Draw.of(picked, picked, axes, stacked=8)]) is False


def test_what_says_nothing_in_one_view_does_not_tell_them_apart():
    sparse = torch.where(seeded(8, 20, seed=1) > 0, seeded(8, 20), 0)
    assert masks_differ([Draw.of(sparse, sparse, ("batch", "unit"), stacked=8)]) is False
    mask = 2.0 * (seeded(4, 20, seed=5) > 0)
    same = sparse * torch.cat([mask, mask])
    assert masks_differ([Draw.of(sparse, same, ("batch", "unit"), stacked=8)]) is False
    other = sparse.clone()
    other[4:] *= 2
    assert masks_differ([Draw.of(sparse, other, ("batch", "unit"), stacked=8)]) is True


def test_too_few_elements_cannot_tell():
    few = torch.ones(MIN_ELEMENTS - 1)
    assert masks_differ([Draw.of(few, few * 2)]) is None
    assert masks_differ([Draw.of(few, few)]) is False


def test_rows_of_which_nothing_was_changed_are_counted_where_rows_can_be_told():
    after = X.clone()
    after[2] = 0
    assert Draw.of(X, after, ("batch", "unit")).unchanged_rows == (7, 8)
    assert Draw.of(X, after, ("unit", "batch")).unchanged_rows == (0, 10)
    assert Draw.of(X, after).unchanged_rows == (0, 0)
    dead = X.clone()
    dead[3] = 0
    assert Draw.of(dead, dead.clone(), ("batch", "unit")).unchanged_rows == (7, 7)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rows", "rate"), [(3, 0.1), (8, 0.1), (16, 0.01)])
def test_rows_that_are_all_kept_twice_do_not_show_one_mask(rows, rate, seed):
    x = torch.randn(2 * rows, 64, generator=torch.Generator().manual_seed(seed)) + 3
    masks = torch.ones(2 * rows, 1) / (1 - rate)
    masks[[0, rows]] = 0  # both views have lost their first row
    draws = [Draw.of(x, x * masks, ("batch", "unit"), 2 * rows)]
    assert masks_differ(draws) is None
    assert masks_differ(draws, shared=True) is False


@pytest.mark.parametrize("rows", [48, 96])
def test_many_rows_that_are_dropped_alike_show_one_mask(rows):
    x = torch.randn(2 * rows, 4, generator=torch.Generator().manual_seed(0)) + 3
    mask = (torch.arange(rows) % 4 > 0).float()[:, None]
    draws = [Draw.of(x, x * torch.cat([mask, mask]), ("batch", "unit"), 2 * rows)]
    assert masks_differ(draws) is False


def test_units_that_show_nothing_are_no_draws():
    x = torch.zeros(8, 64)
    x[:, :3] = 2.0
    mask = torch.ones(4, 64)
    mask[0, 0] = 0
    draws = [Draw.of(x, x * torch.cat([mask, mask]), ("batch", "unit"), 8)]
    assert masks_differ(draws) is None
