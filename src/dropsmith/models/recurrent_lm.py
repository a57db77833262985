"""Stacked recurrent layers between an embedding and scores: the language models of the papers.

Zaremba et al. (2014), Gal & Ghahramani (2016): two LSTM layers of one width. AWD-LSTM (Merity et
al., 2018): three, whose last is as wide as the embedding that the scores share. Fraternal Dropout's
small model (Zolna et al., 2018): one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.models.described import DescribedModel
from dropsmith.recurrent import GRU, LSTM

_TABLES = 0.1
"""Half the width of the uniform distribution that AWD-LSTM draws embedding and head from."""


class RecurrentScores(NamedTuple):
    """The output of a recurrent language model.

    Args:
        logits: scores of the next word, `[batch, time, words]`.
        state: where the next window goes on from: the state of each layer in turn (an LSTM's
            hidden state, then its cells), `[batch, unit]` each, rows first.
        raw: what the last layer returned, `[batch, time, unit]`, for temporal regularisation.
        dropped: the same with the noise that a plan puts on `top`, for activation regularisation.
    """

    logits: Tensor
    state: tuple[Tensor, ...]
    raw: Tensor
    dropped: Tensor


class RecurrentLM(DescribedModel):
    """Scores of the next word at every place of a batch of windows.

    Its modules, for plans: `embedding`, `layers.0`, `layers.1`, …, `top` (what the last layer
    returned, on its way to the scores), `head`.

    >>> import torch
    >>> net = RecurrentLM(words=50, embedding_width=8, widths=(16, 8), tied=True)
    >>> first = net(torch.zeros(3, 7, dtype=torch.long))
    >>> net(torch.zeros(3, 5, dtype=torch.long), first.state).logits.shape
    torch.Size([3, 5, 50])

    Args:
        words: size of the vocabulary.
        embedding_width: units of a word's embedding.
        widths: units of each layer.
        cell: `lstm` or `gru`.
        tied: whether the scores use the embedding's rows as weights (Inan et al., 2017).
        uniform: draw every parameter from the uniform distribution on ± this (Zaremba et al.,
            2014: 0.05 and 0.04). None for AWD-LSTM's way: embedding and head ± 0.1, the head's
            bias 0, layers as torch does.

    Raises:
        TaskError: there is no such cell, or the head is tied to an embedding of another width.
    """

    def __init__(
        self,
        *,
        words: int,
        embedding_width: int,
        widths: Sequence[int],
        cell: str = "lstm",
        tied: bool = False,
        uniform: float | None = None,
    ) -> None:
        super().__init__()
        layer = cell_named(cell)
        _check(embedding_width, widths, tied)
        self.embedding = nn.Embedding(words, embedding_width)
        entering = (embedding_width, *widths[:-1])
        self.layers = nn.ModuleList(
            layer(units, width, batch_first=True)
            for units, width in zip(entering, widths, strict=True)
        )
        self.top = nn.Identity()
        self.head = nn.Linear(widths[-1], words)
        if tied:
            self.head.weight = self.embedding.weight
        self._draw(uniform)

    def _draw(self, uniform: float | None) -> None:
        if uniform is not None:
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -uniform, uniform)
            return
        nn.init.uniform_(self.embedding.weight, -_TABLES, _TABLES)
        nn.init.uniform_(self.head.weight, -_TABLES, _TABLES)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor, state: tuple[Tensor, ...] | None = None) -> RecurrentScores:
        """Scores after each token, and the state after the last.

        Args:
            tokens: word numbers, `[batch, time]`.
            state: what an earlier window returned; zeros where None.
        """
        x, after = self.embedding(tokens), []
        parts = 1 if isinstance(self.layers[0], GRU) else 2
        for depth, layer in enumerate(self.layers):
            before = None if state is None else _as_torch(state[depth * parts :][:parts])
            x, end = layer(x, before)
            after += [part.squeeze(0) for part in (end if parts == 2 else (end,))]
        top = self.top(x)
        return RecurrentScores(self.head(top), tuple(after), x, top)


def _as_torch(parts: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    """One layer's state as torch's layers take it: `[1, batch, unit]`, a pair for an LSTM."""
    hidden, *cells = (part.unsqueeze(0) for part in parts)
    return (hidden, *cells) if cells else hidden


def _check(embedding_width: int, widths: Sequence[int], tied: bool) -> None:
    if not widths:
        raise TaskError("a recurrent model needs at least one layer: widths=(650, 650)")
    if tied and widths[-1] != embedding_width:
        raise TaskError(
            f"a tied head needs a last layer as wide as the embedding, got {widths[-1]} and "
            f"{embedding_width}\n  use widths=(..., {embedding_width}) or tied=False"
        )


CELLS: dict[str, type[LSTM] | type[GRU]] = {"lstm": LSTM, "gru": GRU}


def cell_named(name: str) -> type[LSTM] | type[GRU]:
    """The layer of a name.

    Raises:
        TaskError: there is no such cell.
    """
    if name not in CELLS:
        raise TaskError(
            f"no recurrent cell is called {excerpt(name)}\n  there are: {', '.join(CELLS)}"
            + did_you_mean(name, CELLS)
        )
    return CELLS[name]
