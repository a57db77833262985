"""An adaptive softmax, whose rare words are in bands (Grave et al., 2017)."""

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
    """Sums over items of each view's cross-entropy and of the distance between views.

    The sums equal `consistency_from_scores` of `adaptive_log_softmax`. Log-probabilities are
    computed for some items at a time, and again in the backward pass. With one view and no label
    smoothing, the words of a rare band are scored only for items whose label is in the band.

    Args:
        states: the inputs of each band's scores, `[views, items, width of the band]`.
        tables: the vectors of each band's words, `[words of the band, width of the band]`.
        clusters: the vector of each band after the first, `[bands - 1, width of the first]`.
        labels: the word of each item, `[items]`.
        settings: smoothing, which items count, the cap of the scores, the distance.
    """
    return _chunked(states, tables, clusters, labels, settings)
