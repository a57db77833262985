"""Gaussian noise is as strong as the Bernoulli noise of its rate, and loses nothing."""

from math import sqrt

import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.patterns import Gaussian
from dropsmith.rng import Key, Source

AXES = Axes.read("batch unit", (300, 400))
SOURCE = Source(Key.of(0))


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.8])
def test_mean_and_variance_are_those_of_bernoulli_noise(rate):
    mask = Gaussian(rate=rate).draw(AXES, SOURCE).double()
    # A flip is 0 with chance `rate` and 1 / (1 - rate) else; its mean is 1.
    variance = rate * (0 - 1) ** 2 + (1 - rate) * (1 / (1 - rate) - 1) ** 2
    assert abs(mask.mean().item() - 1) < 5 * sqrt(variance / mask.numel())
    # The variance of a sample variance of normal numbers is 2 σ⁴ / n.
    assert abs(mask.var().item() - variance) < 5 * variance * sqrt(2 / mask.numel())


def test_rows_are_uncorrelated():
    noise = Gaussian(rate=0.5).draw(AXES, SOURCE).double() - 1
    correlation = torch.corrcoef(noise[:40])
    off = correlation - torch.eye(40, dtype=torch.float64)
    # 780 pairs: five and a half standard errors of a correlation of 400 values.
    assert off.abs().max().item() < 5.5 / sqrt(400)


def test_one_number_multiplies_along_shared_axes():
    mask = Gaussian(rate=0.5, shared="batch").draw(AXES, SOURCE)
    assert mask.shape == (1, 400)
    assert mask.unique().numel() > 390
