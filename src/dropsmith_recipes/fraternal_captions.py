"""Zolna et al. (2018), Fraternal Dropout: captions of pictures, with the two κ of the paper."""

from dropsmith.objectives import Fraternal

KAPPA_0015 = Fraternal(kappa=0.015)
"""Two views whose scores of the next word should be near, κ = 0.015."""

KAPPA_0005 = Fraternal(kappa=0.005)
"""Two views whose scores of the next word should be near, κ = 0.005."""
