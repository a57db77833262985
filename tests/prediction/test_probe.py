import pytest
import torch
from torch import nn

from dropsmith.batches import arguments
from dropsmith.prediction.probe import probe
from dropsmith.prediction.sampling import sampling
from prediction.noisy import NOISY, net, seeded


def probed(model, batch, mode="auto", replay=True):
    with sampling(model, arguments(model, batch), None, 0) as sampler:
        return probe(sampler, mode, replay)


@pytest.mark.parametrize(
    ("name", "stack", "replayed"),
    [
        ("dropout", True, 3),
        ("functional", True, 1),
        ("packed", False, 0),
        ("lstm", True, 0),
        ("encoder", True, 0),
        ("encoder, time first", True, 0),
        ("images", True, 5),
        ("alpha", False, 2),
        ("own noise", False, 1),
        ("in place", True, 2),
        ("twice", True, 4),
        ("across rows", False, 1),
    ],
)
def test_each_shortcut_is_taken_exactly_where_it_holds(name, stack, replayed):
    model, batch = NOISY[name]
    found = probed(model, batch)
    assert found.stack == stack
    assert len(found.script.dims if found.script else ()) == replayed


def test_only_the_last_of_a_chain_of_replayed_modules_is_needed():
    script = probed(*NOISY["images"]).script
    assert script is not None
    assert script.values == {max(script.dims)}


def test_no_shortcut_is_taken_where_none_is_wanted():
    model, batch = NOISY["dropout"]
    assert probed(model, batch, mode="looped").stack is False
    assert probed(model, batch, replay=False).script is None


def test_a_row_takes_at_least_the_room_of_what_is_drawn_there():
    wide = nn.Sequential(nn.Linear(4, 10_000), nn.Dropout(0.5), nn.Linear(10_000, 2))
    assert 10_000 * 4 <= probed(wide, seeded(2, 4)).row_bytes <= 10_000 * 4 * 4
    small = probed(net(), seeded(2, 4)).row_bytes
    assert small < 2000


def test_tensors_that_do_not_grow_with_the_rows_are_not_repeated():
    class Placed(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(9, 4), nn.Embedding(2, 4)
            self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 2)

        def forward(self, words):
            # As many places as rows: only trying tells them apart.
            place = self.places(torch.arange(words.shape[1]))
            return self.head(self.drop(self.words(words) + place))

    found = probed(Placed(), torch.arange(4).view(2, 2))
    assert found.script is not None
    assert list(found.script.dims.values()) == [[None], [0], [0]]
