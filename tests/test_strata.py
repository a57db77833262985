"""Stratified draws: each by itself is uniform, and together they lie in different strata."""

from dataclasses import replace
from itertools import combinations
from math import sqrt

import numpy as np
import pytest
import torch
from scipy.stats import chi2, norm
from torch import Tensor

from dropsmith import rng
from dropsmith.keys import Key, Strata
from dropsmith.rng import Source, bits, keep, normal, uniform, words
from dropsmith.strata import LARGEST, Orders, prime_from, stratified_bits

COUNTS = (2, 3, 4, 8, 13, 32, 50, 53)


def key(number: int, count: int, seed: int = 7) -> Key:
    return replace(Key.of(seed).fold(1, number), strata=Strata(Key.of(seed).fold(2), number, count))


def drawn(count: int, shape: tuple[int, ...], seed: int = 7) -> Tensor:
    """The words of all draws as numbers in [0, 1), in float64."""
    draws = [words(Source(key(number, count, seed)), shape) for number in range(count)]
    return (torch.stack(draws).double() % 2**32) / 2**32


def strata(count: int, units: int, seed: int = 7) -> Tensor:
    return (drawn(count, (units,), seed) * count).long()


def chi_square(counts: Tensor) -> float:
    """The chance of counts at least this uneven, were all equally likely."""
    expected = counts.sum().double() / counts.numel()
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.numel() - 1))


@pytest.mark.parametrize("number", [2, 3, 4, 50, 89, 90, 1328, 46_338])
def test_the_prime_is_the_least_that_is_not_below(number):
    def is_prime(n):
        return n > 1 and all(n % d for d in range(2, n))

    want = next(n for n in range(number, 2 * number + 1) if is_prime(n))
    assert prime_from(number) == want


@pytest.mark.parametrize("count", [*COUNTS, 1000])
def test_every_unit_takes_each_stratum_once(count):
    want = torch.arange(count).unsqueeze(1).expand(-1, 200)
    assert torch.equal(strata(count, 200).sort(0).values, want)


@pytest.mark.parametrize("count", [*COUNTS, 1, 126, 127, 128, 300])
def test_draws_together_take_the_strata_that_they_take_one_by_one(count):
    orders = Orders.of(Key.of(5), np.arange(70, dtype=np.uint32), count)
    tensors = Orders.of(Key.of(5), torch.arange(70, dtype=torch.int32), count)
    numbers = [count - 1, 0, count // 2]
    for row, number in zip(orders.rows(numbers), numbers, strict=True):
        assert np.array_equal(row, orders.strata(number))
        assert np.array_equal(row, tensors.strata(number).numpy())


def test_more_draws_than_squares_of_32_bits_allow_take_each_stratum_once():
    count = LARGEST + 1
    for index, numbers in (
        (np.arange(3, dtype=np.uint32), np.arange(count)),
        (torch.arange(3, dtype=torch.int32), torch.arange(count)),
    ):
        found = Orders.of(Key.of(1), index, count).strata(numbers[:, None])
        assert (np.sort(np.asarray(found), 0) == np.arange(count)[:, None]).all()


@pytest.mark.parametrize("count", COUNTS)
def test_the_strata_of_one_draw_are_equally_likely(count):
    for number in (0, count - 1):
        word = words(Source(key(number, count)), (40_000,))
        counts = ((word.double() % 2**32) * count / 2**32).long().bincount(minlength=count)
        assert chi_square(counts) > 1e-6


def pairs_of(count: int, first: int, second: int) -> Tensor:
    """How many of 40,000 units have each two different strata in two draws."""
    found = strata(count, 40_000)
    pairs = (found[first] * count + found[second]).bincount(minlength=count**2)
    apart = ~torch.eye(count, dtype=torch.bool).flatten()
    assert not pairs[~apart].any()
    return pairs[apart]


@pytest.mark.parametrize("count", [3, 5, 13])
def test_two_of_a_prime_number_of_draws_take_every_two_strata_equally_often(count):
    for first, second in ((0, 1), (1, count - 1)):
        assert chi_square(pairs_of(count, first, second)) > 1e-6


@pytest.mark.parametrize("count", [4, 8, 12])
def test_two_of_another_number_of_draws_take_every_two_strata_about_equally_often(count):
    for first, second in ((0, 1), (1, count - 1)):
        pairs = pairs_of(count, first, second).double()
        assert float((pairs / pairs.mean() - 1).abs().max()) < 0.5


@pytest.mark.slow
def test_units_do_not_fall_together():
    # Under one shift for all, units whose numbers are close would be dropped by the same draws.
    count, units = 50, 60
    dropped = torch.stack([drawn(count, (units,), seed) < 0.1 for seed in range(100)]).double()
    both = torch.stack([(dropped[..., a] * dropped[..., b]) for a, b in combinations(range(12), 2)])
    # In a draw two units are dropped with chance 0.01; over 50 draws their number spreads more
    # than that of independent units by no more than a permutation allows.
    counts = both.sum(-1).flatten()
    assert abs(float(counts.mean()) - 0.5) < 5 * sqrt(0.5 / len(counts))
    hypergeometric = 50 * 0.1**2 * (0.9**2) * 50 / 49
    assert float(counts.var()) < 1.15 * hypergeometric


@pytest.mark.parametrize("count", [2, 8, 53])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_single_mask_drops_with_the_chance_of_its_rate(count, rate):
    units = 200_000
    for number in (0, count - 1):
        kept = keep(Source(key(number, count)), (units,), rate).double().mean().item()
        assert abs(kept - (1 - rate)) < 5 * sqrt(rate * (1 - rate) / units)


@pytest.mark.parametrize("count", [2, 8, 53])
def test_within_its_stratum_a_number_lies_anywhere(count):
    fraction = (drawn(count, (20_000,))[1] * count) % 1
    assert chi_square((fraction * 20).long().bincount(minlength=20)) > 1e-6


@pytest.mark.parametrize("count", COUNTS)
def test_torchs_operations_give_the_bits_of_numpys(count, monkeypatch):
    sources = [Source(key(number, count)) for number in range(min(count, 5))]
    fast = [words(source, (7, 11)) for source in sources]
    monkeypatch.setattr(rng, "numpy_serves", lambda device: False)
    for source, want in zip(sources, fast, strict=True):
        assert torch.equal(words(source, (7, 11)), want)


def test_bits_by_index_are_those_of_words_by_position():
    source = Source(key(3, 8))
    index = torch.arange(100, dtype=torch.int32)
    assert torch.equal(bits(source.key, index), words(source, (100,)))
    assert torch.equal(stratified_bits(source.key, index), bits(source.key, index))


def test_folding_a_number_in_gives_other_orders_with_strata_still_apart():
    folded = [key(number, 5).fold(1) for number in range(5)]
    found = torch.stack([(uniform(Source(k), (30,)) * 5).long() for k in folded])
    assert torch.equal(found.sort(0).values, torch.arange(5).unsqueeze(1).expand(-1, 30))
    assert not torch.equal(found, strata(5, 30))


@pytest.mark.parametrize("count", [4, 13])
def test_normal_numbers_lie_in_strata_of_the_normal_distribution(count):
    draws = torch.stack([normal(Source(key(n, count)), (500,)) for n in range(count)]).double()
    found = torch.tensor(norm.cdf(draws) * count).long()
    assert torch.equal(found.sort(0).values, torch.arange(count).unsqueeze(1).expand(-1, 500))
    assert bool(draws.isfinite().all())
    one = draws[1]
    assert abs(float(one.mean())) < 5 / sqrt(500)
    assert abs(float(one.var()) - 1) < 5 * sqrt(2 / 499)
