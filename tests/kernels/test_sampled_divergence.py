"""The mean of the estimates over all samples of queries is the sum over all queries, exactly."""

from itertools import combinations

import pytest
import torch

from dropsmith.kernels.attention_divergence import (
    AttentionSettings,
    sampled_divergence,
    sampled_matrix_divergence,
)
from dropsmith.kernels.attention_divergence.reference import attention_divergence as by_definition
from dropsmith.kernels.attention_divergence.reference import matrix
from kernels.test_attention_divergence import DISTANCES, MASKS, REAL, TIME, given


def mean_of_all_samples(estimate, size):
    """Mean of the sums, and the counts, over every set of `size` queries."""
    found = [estimate(torch.tensor(queries)) for queries in combinations(range(TIME), size)]
    return torch.stack([sums.sum for sums in found]).mean(), {int(s.item_count) for s in found}


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_the_estimate_has_the_sum_and_its_gradient_as_its_mean(distance, causal, mask):
    views, leaves = given(mask, causal=causal)
    counted = None if mask == "none" else REAL
    settings = AttentionSettings(distance=distance, elements=TIME * TIME)
    wanted = by_definition(*views, counted, settings)
    mean, counts = mean_of_all_samples(
        lambda queries: sampled_divergence(*views, counted, settings, queries), 1
    )
    assert counts == {int(wanted.item_count)}
    torch.testing.assert_close(mean, wanted.sum)
    found, expected = (
        torch.autograd.grad(value, leaves, retain_graph=True) for value in (mean, wanted.sum)
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("counted", [None, REAL], ids=["all queries", "real queries"])
def test_matrices_that_a_model_writes_out_are_estimated_likewise(distance, counted):
    views, _ = given("boolean")
    settings = AttentionSettings(distance=distance)
    wanted = by_definition(*views, counted, settings)
    p, q = (matrix(view) for view in views)
    mean, counts = mean_of_all_samples(
        lambda queries: sampled_matrix_divergence(p, q, counted, settings, queries), 3
    )
    assert counts == {int(wanted.item_count)}
    torch.testing.assert_close(mean, wanted.sum)


def test_queries_longer_than_keys_and_half_precision_are_estimated_too():
    views, _ = given("none", keys=3, dtype=torch.bfloat16)
    settings = AttentionSettings()
    wanted = by_definition(*views, None, settings)
    mean, _ = mean_of_all_samples(
        lambda queries: sampled_divergence(*views, None, settings, queries), 1
    )
    torch.testing.assert_close(mean, wanted.sum)
