"""Views of packed sequences are those of the same sequences padded."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from dropsmith.batches import Layout
from dropsmith.passes.make_views import views
from dropsmith.passes.run_audit import audit
from noise.sequences import BATCHES, LENGTHS, PACKED, PADDED, Reader, Tagger, planned, unpacked
from noise.zoo import near


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("batch_fraction", [1.0, 0.5])
def test_views_of_packed_sequences_are_those_of_padded_ones(batch, batch_fraction):
    found = views(planned(Reader()), batch, batch_fraction=batch_fraction)
    expected = views(
        planned(Reader()), (PADDED, LENGTHS), batch_fraction=batch_fraction, mode="looped"
    )
    torch.testing.assert_close(found.outputs, expected.outputs)
    assert (found.rows, found.shared_rows) == (4, 4 * batch_fraction)
    assert expected.shared_rows == (None if batch_fraction == 1 else 2)
    assert not torch.equal(found.outputs[0][:2], found.outputs[1][:2])


@pytest.mark.parametrize("made", [Reader, Tagger])
def test_stacked_on_request_they_are_those_of_the_loop(made):
    outputs = [views(planned(made()), PACKED, mode=how).outputs for how in ("stacked", "looped")]
    for found, expected in zip(*outputs, strict=True):
        if made is Tagger:
            found, expected = unpacked(found), unpacked(expected)
        torch.testing.assert_close(found, expected)


def test_what_is_returned_packed_is_cut_by_the_sequence():
    twice = [PADDED, PADDED + 1]
    packed = pack_padded_sequence(
        torch.cat(twice), LENGTHS.repeat(2), batch_first=True, enforce_sorted=False
    )
    layout = Layout(axes={0: (0,)}, row_source=(0, 0), outputs=(0,))
    parts = layout.cut({"scores": packed}, [4, 4])
    for one, x in zip(parts, twice, strict=True):
        rows = zip(unpacked(one["scores"]), x, LENGTHS, strict=True)
        assert all(torch.equal(row, whole[:length]) for row, whole, length in rows)


def test_views_may_part_where_sequences_are_packed():
    found = views(planned(Reader()), PACKED, trunk="lstm").outputs
    expected = views(planned(Reader()), PACKED, mode="looped").outputs
    torch.testing.assert_close(found, expected)


def test_an_audit_measures_torchs_own_noise_on_packed_sequences():
    model = Reader()
    model.lstm = torch.nn.LSTM(6, 24, 2, dropout=0.3, batch_first=True)
    for batch in BATCHES:
        report = audit(model, batch)
        for name, rate in (("lstm.between()", 0.3), ("drop", 0.5)):
            row = report[name]
            assert row.on
            assert row.differ
            assert near(rate, (row.dropped, row.elements))
    assert report["lstm.between()"].elements == 2 * 8 * int(LENGTHS.sum())
