"""The bound narrows with the number of draws."""

import pytest
import torch

from dropsmith.testing._statistics import check_mean


def drawn(count: int, mean: float) -> list[torch.Tensor]:
    return list(mean + torch.randn(count, generator=torch.Generator().manual_seed(0)))


def test_a_mean_that_is_off_passes_few_draws_and_fails_many():
    check_mean(drawn(100, 0.1), 0.0, "the mean")
    with pytest.raises(AssertionError, match=r"the mean is 0\.\d+ over 10000 draws, not 0.0 ±"):
        check_mean(drawn(10_000, 0.1), 0.0, "the mean")


def test_draws_that_are_all_alike_are_held_to_rounding():
    check_mean([torch.tensor(1.0)] * 9, 1.0 + 1e-6, "the mean")
    with pytest.raises(AssertionError):
        check_mean([torch.tensor(1.0)] * 9, 1.001, "the mean")
