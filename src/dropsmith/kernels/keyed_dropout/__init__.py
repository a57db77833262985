"""Dropout whose mask is drawn from a key; large masks are not stored for backward."""

from dropsmith.kernels.keyed_dropout.dispatch import keyed_dropout
from dropsmith.kernels.keyed_dropout.reference import drop_stacked

__all__ = ["drop_stacked", "keyed_dropout"]
