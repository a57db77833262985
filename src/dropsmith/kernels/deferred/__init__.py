"""Tensors that are made when somebody looks at them: what a head would return, and losses of it."""

from dropsmith.kernels.deferred.deferred import Deferred
from dropsmith.kernels.deferred.head_scores import Head, HeadScores

__all__ = ["Deferred", "Head", "HeadScores"]
