"""Independent coin flips over a whole tensor, drawn from a key and never stored where large."""

from dropsmith.kernels.keyed_dropout.dispatch import keyed_dropout

__all__ = ["keyed_dropout"]
