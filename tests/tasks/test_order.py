from collections import Counter
from itertools import chain

import torch
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.tasks._order import rows_at


def steps(count, *, seed=0, batch_size=4, examples=10):
    return [
        rows_at(step, seed=seed, batch_size=batch_size, examples=examples).tolist()
        for step in range(1, count + 1)
    ]


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**40))
def test_every_batch_is_full_and_every_example_is_seen_as_often_as_any_other(size, examples, seed):
    count = 3 * examples
    batches = steps(count, seed=seed, batch_size=size, examples=examples)
    assert {len(batch) for batch in batches} == {min(size, examples)}
    assert set(Counter(chain(*batches)).values()) == {count * min(size, examples) // examples}


def test_each_pass_is_a_permutation_and_no_two_are_alike():
    flat = list(chain(*steps(10, batch_size=5, examples=10)))
    passes = [tuple(flat[i : i + 10]) for i in range(0, 50, 10)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len(set(passes)) == 5


def test_the_order_follows_from_the_seed_and_nothing_else():
    torch.manual_seed(1)
    first = steps(5)
    torch.manual_seed(2)
    assert steps(5) == first
    assert steps(5, seed=1) != first


def test_first_places_are_drawn_evenly():
    firsts = Counter(rows_at(1, seed=s, batch_size=1, examples=10).item() for s in range(4_000))
    spread = (4_000 * 0.1 * 0.9) ** 0.5
    assert max(abs(firsts[i] - 400) for i in range(10)) <= 5 * spread
