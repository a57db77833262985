"""Word dropout: the embedding of a word is dropped wherever the word occurs.

Gal & Ghahramani (2016, section 4.2) drop word types anew in every sequence; the code of Merity et
al. (2018, AWD-LSTM) drops rows of the embedding matrix for the batch as a whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import PatternError, excerpt
from dropsmith.patterns._pattern import Pattern, Rate, check_rate
from dropsmith.patterns._products import join_views, rows_of_each, times
from dropsmith.rng import Source, StackedSources, against, keep_each

_PER = ("row", "table")


@dataclass(frozen=True, kw_only=True, repr=False)
class WordDropout(Pattern):
    """Drop each word type with probability `rate`; multiply the others by 1 / (1 - rate).

    The decision depends on the key and the token id, so all occurrences of a word are dropped
    together. The cost does not depend on the vocabulary, and the embedding table is not changed.

    >>> from dropsmith.rng import Key
    >>> ids = torch.tensor([[5, 9, 5, 9], [5, 5, 7, 7]])
    >>> mask = WordDropout(rate=0.5).mask(ids, Source(Key.of(1))).squeeze(-1)
    >>> bool((mask[0, 0] == mask[0, 2]) & (mask[0, 1] == mask[0, 3]))
    True

    Args:
        rate: probability that a word type is dropped, in [0, 1), or a schedule.
        per: `row` decides for each row of the batch, `table` once for the whole batch.
    """

    goes_on: ClassVar[str] = "words"

    rate: Rate
    per: str = "row"

    def __post_init__(self) -> None:
        check_rate(self, self.rate)
        if self.per not in _PER:
            raise PatternError(
                f"WordDropout: per must be 'row' or 'table', got {excerpt(self.per)}"
            )

    def mask(self, ids: Tensor, source: Source, batch_dim: int = 0) -> Tensor:
        """The mask of the embeddings of `ids`, of shape `(*ids.shape, 1)`.

        Args:
            ids: token ids, integers of any shape.
            batch_dim: which dimension of `ids` counts the rows of the batch.
        """
        rate = self.rate_at(source.step)
        key = source.key.in_transforms(ids.device)
        if self.per == "row":
            key = key.fold(_row_numbers(ids, batch_dim))
        keep_mask = keep_each(key, ids.to(torch.int32), rate)
        return (keep_mask.float() / (1 - rate)).unsqueeze(-1)

    def drop_rows(
        self, x: Tensor, ids: Tensor, sources: Sequence[Source], batch_dim: int = 0
    ) -> Tensor:
        """Multiply the embeddings `x` of `ids` by their mask, which backward draws again.

        Args:
            x: embeddings, of shape `(*ids.shape, unit)`.
            sources: one for each view stacked along `batch_dim`, in order; raise `ViewError`
                where their number does not divide the rows.
        """
        rows_of_each(len(sources), ids.shape[batch_dim])
        views = sources if isinstance(sources, StackedSources) else tuple(sources)
        return times(x, lambda: self._stacked(ids, views, batch_dim))

    def draw(self, axes: Axes, source: Source) -> Tensor:
        raise PatternError(
            "WordDropout needs token ids, and a tensor's axes hold none\n"
            "  it goes on an embedding: rule('embedding', WordDropout(rate=...)); or .mask(ids)"
        )

    def _stacked(self, ids: Tensor, sources: Sequence[Source], batch_dim: int) -> Tensor:
        dim = batch_dim % ids.dim()
        if isinstance(sources, StackedSources):
            of_views = ids.unflatten(dim, (len(sources), -1)).movedim(dim, 0)
            source = sources.together
            source = replace(source, key=against(source.key, ids.dim()))
            return join_views(self.mask(of_views, source, dim + 1), dim)
        parts = zip(ids.tensor_split(len(sources), batch_dim), sources, strict=True)
        masks = [self.mask(part, source, batch_dim) for part, source in parts]
        return torch.cat(masks, dim)


def _row_numbers(ids: Tensor, dim: int) -> Tensor:
    """Row numbers, shaped to broadcast against `ids`."""
    shape = [1] * ids.dim()
    shape[dim] = ids.shape[dim]
    count = math.prod(shape)
    return torch.arange(count, dtype=torch.int32, device=ids.device).view(shape)
