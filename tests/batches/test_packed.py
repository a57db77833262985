"""Packed sequences are counted, changed, joined and taken by the sequence, in their order."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from dropsmith.batches import Arguments, arguments, is_packed, packed_rows, with_rows
from dropsmith.batches.packed import join_sequences, take_sequences
from noise.sequences import LENGTHS, PACKED, PADDED, Reader, unpacked

ROWS = [PADDED[i, :length] for i, length in enumerate(LENGTHS)]


def assert_sequences(packed, expected):
    assert isinstance(packed, PackedSequence)
    sequences = unpacked(packed)
    assert len(sequences) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(sequences, expected, strict=True))


def test_a_packed_batch_is_one_argument_and_its_rows_are_its_sequences():
    assert arguments(Reader(), PACKED) == Arguments((PACKED,), {})
    assert arguments(Reader(), (PACKED,)) == Arguments((PACKED,), {})
    assert packed_rows(PACKED) == 4


@pytest.mark.parametrize("value", [PADDED, (PADDED, LENGTHS), {"x": PACKED}, None])
def test_only_packed_sequences_are_packed(value):
    assert is_packed(PACKED)
    assert not is_packed(value)


@pytest.mark.parametrize(
    "change",
    [lambda x: x[:2], lambda x: torch.cat([x, x[:3]]), lambda x: x[1:2], lambda x: x.flip(0)],
)
def test_what_is_done_to_rows_is_done_to_sequences(change):
    expected = [ROWS[i] for i in change(torch.arange(4)).tolist()]
    assert_sequences(with_rows(change, PACKED), expected)


@pytest.mark.parametrize("numbers", [range(4), [2], [3, 0, 0], slice(1, 3)])
def test_sequences_are_taken_by_their_numbers(numbers):
    numbers = list(range(4))[numbers] if isinstance(numbers, slice) else list(numbers)
    assert_sequences(take_sequences(PACKED, numbers), [ROWS[i] for i in numbers])


def test_sequences_of_several_lengths_are_joined_in_order():
    shorter = [row[: len(row) - 1] for row in ROWS if len(row) > 2]
    joined = join_sequences([PACKED, pack_sequence(shorter, enforce_sorted=False)])
    assert_sequences(joined, [*ROWS, *shorter])


def test_sequences_sorted_by_length_and_of_word_numbers_are_joined_too():
    words = [torch.tensor([5, 6, 7]), torch.tensor([8, 9]), torch.tensor([1])]
    packed = pack_sequence(words)
    assert_sequences(join_sequences([packed, take_sequences(packed, [0])]), [*words, words[0]])


def test_gradients_go_back_to_where_the_sequences_came_from():
    x = PADDED.clone().requires_grad_()
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    twice = with_rows(lambda rows: torch.cat([rows, rows[:1]]), packed)
    (grad,) = torch.autograd.grad(twice.data.sum(), x)
    times = torch.tensor([2.0, 1, 1, 1])[:, None] * (torch.arange(5) < LENGTHS[:, None])
    assert torch.equal(grad, times[:, :, None].expand(4, 5, 6))
