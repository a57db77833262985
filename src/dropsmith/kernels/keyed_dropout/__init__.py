"""Dropout whose mask is drawn from a key; large masks are not stored for backward."""

from dropsmith.kernels.keyed_dropout.dispatch import keyed_dropout

__all__ = ["keyed_dropout"]
