"""The model that the benchmarks share: a Transformer like BERT's, of any size."""

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Scores for a batch of texts, one set for each text, or one for each word.

    Args:
        words: size of the vocabulary.
        outputs: scores for each text or word.
        width: units of a word.
        layers: how many layers, of which the last `noisy` have dropout.
        noisy: all layers, if not given.
        each: whether every word gets scores of its own.
    """

    def __init__(
        self,
        *,
        words: int = 8000,
        outputs: int = 4,
        width: int = 256,
        layers: int = 4,
        noisy: int | None = None,
        rate: float = 0.1,
        each: bool = False,
    ) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(512, width)
        quiet = layers - (layers if noisy is None else noisy)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, width // 64, 4 * width, rate if number >= quiet else 0.0, batch_first=True
            )
            for number in range(layers)
        )
        self.head, self.each = nn.Linear(width, outputs), each

    def forward(self, ids: Tensor) -> Tensor:
        """Scores `[batch, outputs]`, or `[batch, time, outputs]`, of ids `[batch, time]`."""
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.layers:
            x = layer(x)
        return self.head(x if self.each else x.mean(1))
