"""Padding is found by its usual names, or given, and is in no mean over items."""

import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.prediction import predict
from dropsmith.prediction.draws import BLOCK, StandardError
from dropsmith.prediction.moments import Moments
from dropsmith.prediction.padding import average_rows, item_mask
from prediction.noisy import seeded

KEPT = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]])
X = seeded(3, 4, 5)


class Tagger(nn.Module):
    def __init__(self, units=2):
        super().__init__()
        torch.manual_seed(0)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(5, units)

    def forward(self, x, attention_mask=None, key_padding_mask=None, src_key_padding_mask=None):
        return self.head(self.drop(x))


NAMES = {
    "attention_mask": KEPT,
    "key_padding_mask": ~KEPT.bool(),
    "src_key_padding_mask": ~KEPT.bool(),
    "labels": torch.where(KEPT.bool(), 0, -100),
}


@pytest.mark.parametrize("name", NAMES)
def test_padding_is_known_by_its_usual_names(name):
    found = predict(Tagger(), {"x": X, name: NAMES[name]}, 4)
    assert torch.equal(found.mask, KEPT.bool())


def test_two_ways_to_say_it_are_both_heeded():
    labels = torch.zeros(3, 4).long()
    labels[2, 1] = -100
    found = predict(Tagger(), {"x": X, "attention_mask": KEPT, "labels": labels}, 4)
    assert torch.equal(found.mask, KEPT.bool() & (labels == 0))


@pytest.mark.parametrize("kind", ["regression", "multi_label"])
def test_a_mask_leaves_out_all_values_of_a_place(kind):
    found = predict(Tagger(), {"x": X, "attention_mask": KEPT}, 4, kind=kind)
    means = [found.variance[row, : int(n)].mean() for row, n in enumerate(KEPT.sum(1))]
    torch.testing.assert_close(found.average(found.variance), torch.stack(means))
    assert len(found.to_table()["id"]) == int(KEPT.sum())


def test_masks_of_other_things_are_left_alone():
    batch = {"x": X, "attention_mask": torch.ones(3, 4, 4).tril()}  # added to scores: floating
    assert predict(Tagger(), batch, 4).mask is None
    assert item_mask((3, 4), {"attention_mask": KEPT[:, :3]}, Tagger()) is None
    assert item_mask((3,), {"attention_mask": KEPT}, Tagger()) is None
    assert item_mask((3, 4), (X, KEPT), Tagger()) is None
    assert item_mask((3, 4), {"attention_mask": torch.ones_like(KEPT)}, Tagger()) is None


def test_a_mask_that_is_given_is_taken_and_one_that_does_not_fit_is_refused():
    assert torch.equal(predict(Tagger(), X, 4, mask=KEPT).mask, KEPT.bool())
    for wrong, words in ((KEPT.T, r"\(4, 3\) does not fit.*\(3, 4\)"), (KEPT.float(), "a tensor")):
        with pytest.raises(NoiseError, match=words):
            predict(Tagger(), X, 4, mask=wrong)
    with pytest.raises(NoiseError, match="mask is a tensor"):
        predict(Tagger(), X, 4, mask=[1, 0])  # pyright: ignore


def test_the_mean_of_a_row_without_items_is_not_a_number():
    mask = torch.tensor([[True, False], [False, False]])
    found = average_rows(torch.tensor([[1.0, 5.0], [2.0, 2.0]]), mask)
    assert found[0] == 1
    assert found[1].isnan()


@pytest.mark.parametrize("kind", ["classification", "regression", "multi_label"])
def test_padding_does_not_count_for_the_standard_error(kind):
    blocks = seeded(6, BLOCK, 3, 4, 2)
    blocks[:, :, ~KEPT.bool()] *= 50
    without = blocks.clone()
    without[:, :, ~KEPT.bool()] = 0.5 + 0.001 * blocks[:, :, ~KEPT.bool()]
    values = []
    for data, mask in ((blocks, KEPT.bool()), (without, KEPT.bool()), (blocks, None)):
        error = StandardError(Moments(kind, mask=mask), 0.0)
        for block in data:
            error.moments.add_block(block)
            error.is_small()
        values.append(error.value)
    assert values[0] == pytest.approx(values[1])
    assert values[0] != pytest.approx(values[2], rel=1e-3)
