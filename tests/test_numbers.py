"""Numbers that a person gives are of the right type, finite and in their range."""

import math

import pytest

from dropsmith.errors import NoiseError, TaskError
from dropsmith.numbers import LARGEST_SEED, check_number, check_seed, check_whole, is_count
from dropsmith.rng import Key


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], math.nan, 2**70, -1, 10**400])
def test_what_is_no_count_is_refused_in_one_line(value):
    assert not is_count(value, 0)
    with pytest.raises(TaskError, match=r"^epochs must be a whole number of at .{0,200}$"):
        check_whole("epochs", value, 0, TaskError)


@pytest.mark.parametrize("value", [0, 1, 2**31 - 1])
def test_counts_pass(value):
    assert is_count(value, 0)
    check_whole("epochs", value, 0, TaskError)


@pytest.mark.parametrize("value", [True, "1", None, math.nan, math.inf, -math.inf, 10**400, -0.1])
def test_what_is_no_number_in_the_range_is_refused(value):
    with pytest.raises(
        TaskError, match=r"^rate must be a finite number of 0 or more, got .{1,80}$"
    ):
        check_number("rate", value, TaskError)


def test_both_ends_of_a_range_belong_to_it():
    for value in (0, 0.0, 1, 1.0, 0.5):
        check_number("rate", value, TaskError, most=1)
    with pytest.raises(TaskError, match=r"from 0 to 1, got 1\.5"):
        check_number("rate", 1.5, TaskError, most=1)


def test_seeds_are_those_that_every_generator_takes():
    check_seed(0, TaskError)
    check_seed(LARGEST_SEED, TaskError)
    for seed in (-1, LARGEST_SEED + 1, 0.5):
        with pytest.raises(TaskError, match="seed must be a whole number"):
            check_seed(seed, TaskError)


def test_a_seed_of_more_bits_than_a_key_has_is_no_smaller_seed():
    assert Key.of(2**64 - 1) != Key.of(2**63)
    for seed in (2**64, 2**70, -(2**63) - 1):
        with pytest.raises(NoiseError, match="a seed has 64 bits at most, got"):
            Key.of(seed)
