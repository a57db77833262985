"""Probabilities of very many words, the rarer ones in bands (Grave et al., 2017)."""

from dropsmith.kernels.adaptive_softmax.reference import adaptive_log_softmax

__all__ = ["adaptive_log_softmax"]
