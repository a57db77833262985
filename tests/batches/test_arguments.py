"""What of a batch a model is called with."""

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.batches import arguments
from dropsmith.errors import ModelError

X = torch.ones(3, 4)


class Named(nn.Module):
    """Two arguments, one of which may be left out."""

    def __init__(self):
        super().__init__()
        self.layer, self.dropout = nn.Linear(4, 2), nn.Dropout(0.3)

    def forward(self, pixels, mask=None):
        return self.dropout(self.layer(pixels))


class Anything(Named):
    def forward(self, **tensors):
        return super().forward(tensors["pixels"])


class Constant(nn.Module):
    def forward(self, scale=1.0):
        return torch.ones(2) * scale


def sequential():
    return nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Linear(4, 2))


def test_names_that_forward_does_not_take_are_left_out():
    assert set(arguments(Named(), {"pixels": X, "labels": X}).kwargs) == {"pixels"}
    assert set(arguments(Anything(), {"pixels": X, "labels": X}).kwargs) == {"pixels", "labels"}
    assert arguments(Constant(), {"labels": X}).kwargs == {}


LOOKS = {
    "predict": ds.predict,
    "audit": ds.audit,
    "sites": ds.sites,
    "views": ds.views,
    "install": lambda model, batch: ds.Plan(ds.rule("**", ds.Bernoulli(rate=0.2))).install(
        model, batch
    ),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    ("make", "name"), [(sequential, "input"), (Named, "pixels"), (lambda: nn.LSTM(4, 2), "input")]
)
def test_a_batch_without_any_name_of_forward_is_an_error_that_says_the_names(look, make, name):
    with pytest.raises(ModelError) as caught:
        LOOKS[look](make(), {"image": X, "labels": X})
    message = str(caught.value)
    assert f"takes '{name}', and the batch has none of it: 'image', 'labels'" in message
    assert f"{{'{name}': ...}}" in message
