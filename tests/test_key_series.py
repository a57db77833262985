"""A series makes keys and words several at a time, and they are those that are made one by one."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.key_series import LENGTH, MOST_WORDS, KeySeries, made_ahead
from dropsmith.keys import Key, bits

BASE = Key.of(5).fold(3)
NUMBER = st.integers(0, 2**32 - 1)


def words(array):
    return array


def by_itself(key, count):
    """The words of a key, by torch and without a series."""
    index = torch.arange(count, dtype=torch.int32)
    return bits(Key(key.first, key.second), index).numpy().view(np.uint32)


def ahead(series, number, count, make=words):
    return made_ahead(series.key(number), count, make)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**64 - 1), st.lists(NUMBER | st.integers(0, 40), max_size=8))
def test_keys_are_those_that_are_folded_one_by_one_in_any_order(seed, numbers):
    base = Key.of(seed)
    series = KeySeries(base)
    for number in numbers:
        for next_number in (number, number + 1):
            if next_number < 2**32:
                assert series.key(next_number) == base.fold(next_number)


@pytest.mark.parametrize("start", [0, 7, 2**31 - 20, 2**32 - 4 * LENGTH])
@pytest.mark.parametrize("count", [1, 5, 4096, 20_000])
def test_words_made_ahead_are_those_that_each_key_draws_by_itself(start, count):
    series, made = KeySeries(BASE), 0
    for number in range(start, start + 2 * LENGTH + 8):
        row = ahead(series, number, count)
        if row is not None:
            assert np.array_equal(row, by_itself(BASE.fold(number), count))
            made += 1
    assert made == 2 * LENGTH + 7


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([3, 4]), st.booleans())))
def test_numbers_counts_and_functions_may_change_at_every_call(calls):
    series = KeySeries(BASE)

    def upper(array):
        return array >> np.uint32(16)

    for number, count, is_upper in calls:
        row = ahead(series, number, count, upper if is_upper else words)
        if row is not None:
            want = by_itself(BASE.fold(number), count)
            assert np.array_equal(row, want >> 16 if is_upper else want)


def test_nothing_is_made_ahead_for_a_first_number_a_leap_or_more_words_than_are_held():
    series = KeySeries(BASE)
    assert ahead(series, 4, 10) is None
    assert ahead(series, 5, 10) is not None
    assert ahead(series, 5 + LENGTH + 1, 10) is None
    assert ahead(series, 5, 10) is None
    assert ahead(series, 6, 11) is None
    for number in range(10, 13):
        assert ahead(series, number, MOST_WORDS // 2 + 1) is None
    assert ahead(series, 2**32 - 2, 10) is None
    assert ahead(series, 2**32 - 1, 10) is None


def test_threads_that_share_a_series_get_their_own_keys_and_words():
    series = KeySeries(BASE)

    def draw(start):
        for number in range(start, start + 300):
            key = series.key(number)
            assert key == BASE.fold(number)
            row = made_ahead(key, 50, words)
            assert row is None or np.array_equal(row, by_itself(BASE.fold(number), 50))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(draw, (0, 7, 150, 1000)))


def test_a_key_of_an_earlier_number_draws_its_own_words():
    series = KeySeries(BASE)
    keys = [series.key(number) for number in range(3 * LENGTH)]
    for key in keys:
        made_ahead(key, 8, words)
    for place in (0, 3, LENGTH, LENGTH + 1, 3 * LENGTH - 1):
        row = made_ahead(keys[place], 8, words)
        assert row is None or np.array_equal(row, by_itself(keys[place], 8))


def test_a_series_is_no_part_of_what_a_key_is():
    series = KeySeries(BASE)
    key = series.key(3)
    assert key == BASE.fold(3)
    assert hash(key) == hash(BASE.fold(3))
    assert "series" not in repr(key)
    assert key.fold(1) == BASE.fold(3, 1)
    assert made_ahead(key.fold(1), 8, words) is None


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_makes_the_same_keys_and_takes_no_words_along(twin_of):
    series = KeySeries(BASE)
    for number in range(5):
        ahead(series, number, 2000)
    twin = twin_of(series)
    assert twin.key(6) == series.key(6)
    assert len(pickle.dumps(series)) < 500
    assert np.array_equal(ahead(series, 5, 2000), by_itself(BASE.fold(5), 2000))
