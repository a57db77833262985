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


@pytest.mark.parametrize("batch", BATCHES)
def test_stacked_samples_of_packed_sequences_are_those_of_a_loop(batch):
    how = {"samples": 5, "keep": True, "replay": False}
    stacked = predict(planned(Reader()), batch, mode="stacked", **how)
    looped = predict(planned(Reader()), batch, mode="looped", **how)
    torch.testing.assert_close(stacked.draws, looped.draws)


def test_torchs_own_noise_between_packed_layers_is_not_stacked():
    model = Reader()
    model.lstm = torch.nn.LSTM(6, 24, 2, dropout=0.5, batch_first=True)
    with pytest.raises(ViewError, match=r"torch's own draw[\s\S]*looped"):
        predict(model, PACKED, mode="stacked")
