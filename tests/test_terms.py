"""A mean does not depend on how its items were cut into parts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.terms import Loss, Mean, total

NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


@settings(deadline=None)
@given(NUMBERS, st.data())
def test_the_mean_of_parts_is_the_mean_of_the_whole(numbers, data):
    items = torch.tensor(numbers, dtype=torch.float64)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(numbers)), max_size=3)))
    parts = [Mean.of(part) for part in items.tensor_split(cuts)]
    torch.testing.assert_close(total(parts).value, items.mean())


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-100, 100), st.booleans()), min_size=1, max_size=30))
def test_only_items_in_the_mask_count(pairs):
    items = torch.tensor([number for number, _ in pairs], dtype=torch.float64)
    mask = torch.tensor([inside for _, inside in pairs])
    kept = [number for number, inside in pairs if inside]
    mean = Mean.of(items, mask)
    assert int(mean.count) == len(kept)
    assert mean.value.item() == pytest.approx(sum(kept) / max(len(kept), 1), abs=1e-9)


def test_the_gradient_is_one_over_the_count_inside_the_mask_and_zero_outside():
    items = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    Mean.of(items, torch.tensor([True, False, True, True])).value.backward()
    assert items.grad is not None
    assert items.grad.tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize("poison", [float("inf"), -float("inf"), float("nan")])
def test_items_outside_the_mask_may_be_anything(poison):
    items = torch.tensor([1.0, poison, 3.0], requires_grad=True)
    mean = Mean.of(items, torch.tensor([True, False, True]))
    mean.value.backward()
    assert mean.value.item() == 2.0
    assert items.grad is not None
    assert items.grad.tolist() == [0.5, 0.0, 0.5]


def test_the_gradient_of_a_sum_of_means_weighs_every_item_alike():
    items = torch.arange(5.0).requires_grad_()
    (Mean.of(items[:1]) + Mean.of(items[1:])).value.backward()
    assert items.grad is not None
    assert items.grad.tolist() == pytest.approx([0.2] * 5)


def test_a_mean_over_nothing_is_zero_and_has_a_zero_gradient():
    items = torch.ones(3, requires_grad=True)
    nothing = Mean.of(items, torch.zeros(3, dtype=torch.bool))
    assert nothing.value.item() == 0.0
    nothing.value.backward()
    assert items.grad is not None
    assert items.grad.tolist() == [0.0] * 3


def test_counts_may_be_numbers_or_tensors():
    whole = Mean(torch.tensor(6.0), 2) + Mean(torch.tensor(3.0), torch.tensor(1))
    assert whole.value.item() == 3.0


def test_detach_cuts_sum_and_count_from_the_graph():
    weight = torch.ones(2, requires_grad=True)
    mean = Mean(weight.sum(), weight.sum()).detach()
    assert not mean.sum.requires_grad
    assert isinstance(mean.count, torch.Tensor)
    assert not mean.count.requires_grad
    assert Mean(weight.sum(), 2.0).detach().count == 2.0


def test_a_loss_counts_every_item_unless_told_otherwise():
    assert Loss(Mean.of(torch.ones(3))).mask is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
def test_half_precision_is_added_up_in_single(dtype, masked):
    items = torch.full((9001,), 9.0, dtype=dtype, requires_grad=True)
    mean = Mean.of(items, torch.ones(9001, dtype=torch.bool) if masked else None)
    assert mean.sum.item() == 81009.0
    mean.value.backward()
    assert mean.value.item() == 9.0
    assert items.grad is not None
    assert items.grad.dtype == dtype
