"""Adaptive inputs and softmax: rarer words have narrower vectors.

Adaptive input representations (Baevski & Auli, 2019) tied to the adaptive softmax (Grave et al.,
2017): both sides share the tables of every band and the projections between its width and the
model's.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.kernels import adaptive_softmax, lazy_logits


class AdaptiveEmbedding(nn.Module):
    """Vectors of words that are numbered by how common they are, the commonest first.

    >>> words = AdaptiveEmbedding(words=50, width=8, cutoffs=(10, 20), factor=2)
    >>> [tuple(table.shape) for table in words.tables]
    [(10, 8), (10, 4), (30, 2)]
    >>> words(torch.tensor([[3, 15, 49]])).shape
    torch.Size([1, 3, 8])

    Args:
        words: how many there are.
        width: units of a vector.
        cutoffs: the number of the first word of each band after the first.
        factor: how many times narrower the table of each next band is.

    Raises:
        TaskError: the cutoffs do not rise from 1 to less than `words`, or a band is left without
            a unit.
    """

    def __init__(self, *, words: int, width: int, cutoffs: Sequence[int], factor: int = 4) -> None:
        super().__init__()
        ends = (0, *cutoffs, words)
        _check(ends, width, factor)
        sizes = [(end - start, width // factor**i) for i, (start, end) in enumerate(pairwise(ends))]
        self.starts = ends[:-1]
        # Parameters and no modules: words of one band are a list without rows to put noise on.
        self.tables = nn.ParameterList(torch.empty(size) for size in sizes)
        self.projections = nn.ParameterList(torch.empty(width, narrow) for _, narrow in sizes)
        for table, projection in zip(self.tables, self.projections, strict=True):
            nn.init.normal_(table, std=table.shape[1] ** -0.5)
            nn.init.xavier_uniform_(projection)

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors `[..., width]` of tokens `[...]`."""
        # A number that is no word's falls to the first band or the last, whose table refuses it.
        bands = sum((tokens >= start for start in self.starts[1:]), torch.zeros_like(tokens))
        parts = zip(self.starts, self.tables, self.projections, strict=True)
        first, *rest = (_of_band(tokens, bands == i, *part) for i, part in enumerate(parts))
        return sum(rest, first)


def _of_band(
    tokens: Tensor, inside: Tensor, start: int, table: Tensor, projection: Tensor
) -> Tensor:
    """Vectors of the tokens in a band, and zeros for the others."""
    vectors = F.embedding((tokens - start).where(inside, 0), table)
    return F.linear(vectors * inside.unsqueeze(-1), projection)


class AdaptiveHead(nn.Module):
    """Log-probabilities of all words, from the tables and projections of an embedding.

    They are scores like any other: a softmax over them changes nothing. They are put off until
    somebody looks at them; losses and agreeing objectives do without; compiled code makes them
    at once. The only weights of its
    own are the vectors of the bands after the first. What a band's words are scored from passes
    a module `narrowed.1`, `narrowed.2`, …, where a plan may put noise.

    >>> head = AdaptiveHead(AdaptiveEmbedding(words=50, width=8, cutoffs=(10, 20), factor=2))
    >>> found = head(torch.ones(3, 7, 8))
    >>> found.shape, bool(torch.isclose(found.exp().sum(-1), torch.ones(3, 7)).all())
    (torch.Size([3, 7, 50]), True)

    Args:
        embedding: whose weights it shares.
    """

    puts_off = True

    def __init__(self, embedding: AdaptiveEmbedding) -> None:
        super().__init__()
        rare_bands = range(1, len(embedding.tables))
        self.tables, self.projections = embedding.tables, embedding.projections
        self.clusters = nn.Parameter(torch.empty(len(rare_bands), len(embedding.projections[0])))
        nn.init.xavier_uniform_(self.clusters)
        self.narrowed = nn.ModuleDict({str(band): nn.Identity() for band in rare_bands})

    def forward(self, hidden: Tensor) -> Tensor:
        """Log-probabilities `[..., words]` of hidden states `[..., width]`."""
        rare = [
            narrowed(F.linear(hidden, self.projections[int(band)].t()))
            for band, narrowed in self.narrowed.items()
        ]
        states, tables = [hidden, *rare], list(self.tables)
        if torch.compiler.is_compiling():
            return adaptive_softmax.adaptive_log_softmax(states, tables, self.clusters)
        return lazy_logits.BandScores.of(states, lazy_logits.Bands.of(tables, self.clusters))


def _check(ends: Sequence[int], width: int, factor: int) -> None:
    if any(start >= end for start, end in pairwise(ends)):
        raise TaskError(
            f"cutoffs {tuple(ends[1:-1])} make no bands of {ends[-1]:,} words\n"
            "  each is the number of a word, and larger than the one before"
        )
    if len(ends) < 3 or factor < 1 or width < factor ** (len(ends) - 2):
        raise TaskError(
            f"cutoffs {tuple(ends[1:-1])} with factor={factor} do not serve a width of {width}\n"
            "  give at least one, and so few that the last band keeps a unit"
        )
