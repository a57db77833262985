"""Probabilities of very many words, the rarer ones in bands (Grave et al., 2017)."""

from collections.abc import Sequence

from torch import Tensor

from dropsmith.kernels.adaptive_softmax.chunked import adaptive_softmax_consistency as _chunked
from dropsmith.kernels.adaptive_softmax.reference import adaptive_log_softmax
from dropsmith.kernels.fused_linear_consistency import HeadSettings, HeadSums

__all__ = ["adaptive_log_softmax", "adaptive_softmax_consistency"]


def adaptive_softmax_consistency(
    states: Sequence[Tensor],
    tables: Sequence[Tensor],
    clusters: Tensor,
    labels: Tensor,
    settings: HeadSettings,
) -> HeadSums:
    """Sums over items of each view's cross-entropy and of how far the views are apart.

    They are what `consistency_from_scores` makes of `adaptive_log_softmax`, which is made for some
    items at a time, and again in the backward pass. Of one view without label smoothing, words of a
    rarer band are scored where the label lies in it, and nowhere else.

    Args:
        states: what each band's words are scored from, `[views, items, width of the band]`.
        tables: the vectors of each band's words, `[words of the band, width of the band]`.
        clusters: the vector of each band after the first, `[bands - 1, width of the first]`.
        labels: the word of each item, `[items]`.
        settings: smoothing, which items count, the cap of the scores, the distance.
    """
    return _chunked(states, tables, clusters, labels, settings)
