"""Tensors that are computed when they are first used: logits, and their losses."""

from dropsmith.kernels.lazy_logits.band_scores import Bands, BandScores
from dropsmith.kernels.lazy_logits.head_scores import Head, HeadScores
from dropsmith.kernels.lazy_logits.lazy_tensor import LazyLogits, LazyTensor

__all__ = ["BandScores", "Bands", "Head", "HeadScores", "LazyLogits", "LazyTensor"]
