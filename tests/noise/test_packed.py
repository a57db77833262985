"""Sites and layouts of models that take packed sequences."""

import torch
from torch import nn

from dropsmith.batches import Arguments
from dropsmith.noise import layout_of, sites
from noise.sequences import LENGTHS, PACKED, PADDED, Reader, Tagger, unpacked


class Stateful(nn.Module):
    """An LSTM over packed sequences that begins with a state that is given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(6, 4, 2)

    def forward(self, packed, state):
        return self.lstm(packed, state)


def test_sites_after_packed_sequences_have_their_batch_axis():
    rows = {site.name: site for site in sites(Reader(), PACKED)}
    assert rows["drop"].axes == rows["head"].axes == ("batch", "unit")


def test_the_state_that_sequences_begin_with_goes_with_them():
    state = torch.arange(16.0).view(2, 4, 2).repeat(1, 1, 2)
    call = Arguments((PACKED, (state, -state)), {})
    layout = layout_of(Stateful().eval(), call)
    assert layout.axes == {0: (0,), 1: (1, 1)}
    packed, (hidden, cell) = layout.take_arguments(call, slice(1, 3)).args
    assert torch.equal(hidden, state[:, 1:3])
    assert torch.equal(cell, -state[:, 1:3])
    assert [len(row) for row in unpacked(packed)] == LENGTHS[1:3].tolist()


def test_views_of_packed_sequences_are_those_of_padded_ones_beside_lengths():
    model = Tagger().eval()
    packed, padded = Arguments((PACKED,), {}), Arguments((PADDED, LENGTHS), {})
    for call in (packed, padded):
        layout = layout_of(model, call)
        assert layout.stackable
        both = layout.combine([call, layout.take_arguments(call, [3, 1])])
        views = layout.cut(model(*both.args), [4, 2])
        expected = unpacked(model(PADDED, LENGTHS))
        for view, numbers in zip(views, ([0, 1, 2, 3], [3, 1]), strict=True):
            for row, number in zip(unpacked(view), numbers, strict=True):
                torch.testing.assert_close(row, expected[number])
