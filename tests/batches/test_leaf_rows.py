"""Rows of one leaf, against loops over single rows."""

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from batches.zoo import assert_same, drawn, flat
from dropsmith.batches.leaf_rows import join_rows, rows_along, split, take_rows

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
LENGTHS = (2, 4, 1)


def dense(axis: int) -> Tensor:
    return drawn(3, 5, 3).transpose(0, axis).contiguous() if axis else drawn(3, 5, 3)


def pieces() -> list[Tensor]:
    return [drawn(length, 2, seed=length) for length in LENGTHS]


LEAVES = {
    "tensor": (drawn(3, 5, 2), 0, [row[None] for row in drawn(3, 5, 2)]),
    "time first": (drawn(5, 3, 2), 1, [row[:, None] for row in drawn(5, 3, 2).unbind(1)]),
    "packed": (pack_sequence(pieces(), False), 0, pieces()),
    "jagged": (torch.nested.nested_tensor(pieces(), layout=torch.jagged), 0, pieces()),
    "sparse": (drawn(3, 4).relu().to_sparse(), 0, list(drawn(3, 4).relu().split(1))),
    "list": ([{"a": piece} for piece in pieces()], 0, pieces()),
}


def rows_of(leaf):
    """The rows of a leaf, one by one, told apart without the code under test."""
    if isinstance(leaf, list):
        return [entry["a"] for entry in leaf]
    if isinstance(leaf, Tensor) and leaf.is_sparse:
        return list(leaf.to_dense().split(1))
    return flat(leaf)


@pytest.mark.parametrize("name", LEAVES)
def test_rows_are_counted(name):
    leaf, axis, _ = LEAVES[name]
    assert rows_along(leaf, axis) == 3


@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.parametrize("numbers", [[0], [2, 0], [1, 1, 1], slice(2), slice(1, 3)])
def test_rows_are_taken_by_number(name, numbers):
    leaf, axis, rows = LEAVES[name]
    chosen = rows[numbers] if isinstance(numbers, slice) else [rows[i] for i in numbers]
    part = take_rows(leaf, axis, numbers)
    if name in ("tensor", "time first"):
        assert torch.equal(part, torch.cat(chosen, axis))
    else:
        assert_same(rows_of(part), chosen)


@pytest.mark.parametrize("name", LEAVES)
def test_leaves_are_joined_row_after_row(name):
    leaf, axis, rows = LEAVES[name]
    whole = join_rows([leaf, take_rows(leaf, axis, [1])], axis)
    assert rows_along(whole, axis) == 4
    if name in ("tensor", "time first"):
        assert torch.equal(whole, torch.cat([*rows, rows[1]], axis))
    else:
        assert_same(rows_of(whole), [*rows, rows[1]])


@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.parametrize("sizes", [[3, 3], [3, 2], [1, 2, 3]])
def test_a_joined_leaf_is_split_into_its_views(name, sizes):
    leaf, axis, rows = LEAVES[name]
    parts = [take_rows(leaf, axis, slice(size)) for size in sizes]
    for view, size in zip(split(join_rows(parts, axis), axis, sizes), sizes, strict=True):
        assert rows_along(view, axis) == size
        if name in ("tensor", "time first"):
            assert torch.equal(view, torch.cat(rows[:size], axis))
        else:
            assert_same(rows_of(view), rows[:size])


def test_what_has_no_rows_is_the_same_in_all_views():
    table = drawn(4, 4)
    assert join_rows([table, table], None) is table
    assert take_rows(table, None, [0]) is table
    assert all(view is table for view in split(table, None, [2, 2]))


def test_flattened_tokens_are_split_by_shares():
    tokens = drawn(15, 2)
    first, second = split(tokens, 0, [3, 2])
    assert torch.equal(first, tokens[:9])
    assert torch.equal(second, tokens[9:])


def test_views_of_one_size_have_as_many_entries_each_whatever_their_rows():
    patches = drawn(14, 2)
    first, second = split(patches, 0, [2, 2])
    assert torch.equal(first, patches[:7])
    assert torch.equal(second, patches[7:])


def test_entries_that_no_share_divides_are_an_error():
    with pytest.raises(ValueError, match="7 entries for 5 rows"):
        split(drawn(7, 2), 0, [3, 2])


def test_rows_that_are_joined_and_taken_carry_gradients():
    x = drawn(3, 2).requires_grad_()
    whole = join_rows([x, take_rows(x, 0, slice(1))], 0)
    (grad,) = torch.autograd.grad(whole.sum(), x)
    assert grad.tolist() == [[2, 2], [1, 1], [1, 1]]
