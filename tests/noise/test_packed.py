"""Packed sequences are counted, repeated and cut by the sequence, in the order they came in."""

import pytest
import torch
from dropsmith.batches.batch import map_rows, one_more_column, one_more_row, rows_of
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from dropsmith.batches.arguments import arguments
from dropsmith.batches.packed import has_packed
from dropsmith.noise.find_sites import sites
from noise.sequences import LENGTHS, PACKED, PADDED, Reader, unpacked


def assert_sequences(packed, expected):
    found = unpacked(packed)
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_packed_batch_is_one_argument_and_its_rows_are_its_sequences():
    assert arguments(Reader(), PACKED) == ((PACKED,), {})
    assert [rows_of(batch) for batch in (PACKED, (PACKED,), {"n": 2, "x": PACKED})] == [4, 4, 4]


@pytest.mark.parametrize("batch", [PACKED, (PADDED, PACKED), {"x": [PACKED]}])
def test_a_packed_part_of_a_batch_is_found(batch):
    assert has_packed(batch)
    assert not has_packed((PADDED, {"x": PADDED}, 3))


@pytest.mark.parametrize(
    "change",
    [lambda x: x[:2], lambda x: torch.cat([x, x[:3]]), lambda x: x[1:2], lambda x: x.flip(0)],
)
def test_what_is_done_to_rows_is_done_to_sequences(change):
    expected = [PADDED[i, : LENGTHS[i]] for i in change(torch.arange(4)).tolist()]
    assert_sequences(map_rows(change, (PACKED,))[0], expected)
    assert_sequences(map_rows(change, PACKED), expected)


def test_sequences_sorted_by_length_and_of_word_numbers_too():
    words = [torch.tensor([5, 6, 7]), torch.tensor([8, 9]), torch.tensor([1])]
    grown = one_more_row({"x": pack_sequence(words), "n": torch.arange(3)})
    assert_sequences(grown["x"], [*words, words[0]])
    assert grown["n"].tolist() == [0, 1, 2, 0]


def test_the_state_that_sequences_begin_with_goes_with_them():
    state = torch.arange(16.0).view(2, 4, 2)
    _, (h, _) = map_rows(lambda x: x[1:3], (PACKED, (state, state)))
    assert torch.equal(h, state[:, 1:3])


def test_gradients_go_back_to_where_the_sequences_came_from():
    x = PADDED.clone().requires_grad_()
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    twice = map_rows(lambda rows: torch.cat([rows, rows[:1]]), packed)
    (grad,) = torch.autograd.grad(twice.data.sum(), x)
    times = torch.tensor([2.0, 1, 1, 1])[:, None] * (torch.arange(5) < LENGTHS[:, None])
    assert torch.equal(grad, times[:, :, None].expand(4, 5, 6))


def test_a_packed_part_beside_a_batch_with_time_first_grows_with_its_columns():
    x, packed = one_more_column((PADDED.transpose(0, 1), PACKED))
    assert x.shape == (5, 5, 6)
    assert isinstance(packed, PackedSequence)
    assert_sequences(packed, [*unpacked(PACKED), PADDED[0, :2]])


def test_sites_after_packed_sequences_have_their_batch_axis():
    found = {site.name: site for site in sites(Reader(), PACKED)}
    assert found["drop"].axes == found["head"].axes == ("batch", "unit")
