"""Samples over packed sequences are those over the same sequences padded."""

import pytest
import torch

from dropsmith.errors import ViewError
from dropsmith.prediction.run_predict import predict
from noise.sequences import BATCHES, LENGTHS, PACKED, PADDED, Reader, planned


@pytest.mark.parametrize("batch", BATCHES)
def test_predictions_of_packed_sequences_are_those_of_padded_ones(batch):
    found = predict(planned(Reader()), batch, samples=6, keep=True)
    how = {"samples": 6, "keep": True, "mode": "looped", "replay": False}
    expected = predict(planned(Reader()), (PADDED, LENGTHS), **how)
    torch.testing.assert_close(found.draws, expected.draws)
    assert (found.variance > 0).all()


def test_samples_of_packed_sequences_are_not_stacked():
    with pytest.raises(ViewError, match=r"packed sequences lie step by step[\s\S]*looped"):
        predict(Reader(), PACKED, mode="stacked")
