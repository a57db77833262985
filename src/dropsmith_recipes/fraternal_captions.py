"""Zolna et al. (2018), Fraternal Dropout: its objective for captions of pictures, with two κ.

The κ are those that are said of the paper's captions of COCO; its text was not at hand to see them,
and so neither are its scores given here.
"""

from dropsmith.objectives import Fraternal

KAPPA_0015 = Fraternal(kappa=0.015)
"""Two views whose scores of the next word should be near, κ = 0.015."""

KAPPA_0005 = Fraternal(kappa=0.005)
"""Two views whose scores of the next word should be near, κ = 0.005."""
