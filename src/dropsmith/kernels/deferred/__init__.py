"""Tensors that are made when somebody looks at them: what a head would return, and losses of it."""

from dropsmith.kernels.deferred.band_scores import Bands, BandScores
from dropsmith.kernels.deferred.deferred import Deferred
from dropsmith.kernels.deferred.head_scores import Head, HeadScores
from dropsmith.kernels.deferred.put_off import PutOffScores

__all__ = ["BandScores", "Bands", "Deferred", "Head", "HeadScores", "PutOffScores"]
