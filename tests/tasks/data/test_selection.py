from collections import Counter
from itertools import accumulate, chain, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks.data.selection import (
    NO_LIMIT,
    PARTS,
    SEED,
    apply_limit,
    check_limit,
    check_parts,
    part_of,
    round_robin,
    rows_at,
    stratify,
)

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@given(LABELS)
def test_every_prefix_of_a_round_robin_is_as_balanced_as_it_can_be(labels):
    order = round_robin(labels).tolist()
    assert sorted(order) == list(range(len(labels)))
    total, seen = Counter(labels), Counter()
    for index in order:
        seen[labels[index]] += 1
        # No class is ahead of another that is not used up yet.
        for label, count in total.items():
            assert seen[label] == count or seen[label] >= max(seen.values()) - 1


@given(LABELS, st.floats(0, 1))
def test_parts_are_disjoint_whole_and_of_the_sizes_asked_for(labels, share):
    first, rest = stratify(labels, (share, 1 - share))
    assert sorted(first.tolist() + rest.tolist()) == list(range(len(labels)))
    assert len(first) == round(share * len(labels))


def test_each_part_has_the_mix_of_the_whole():
    labels = [0] * 100 + [1] * 300 + [2] * 20
    for part in stratify(labels, (0.5, 0.3, 0.2)):
        counts = Counter(labels[i] for i in part.tolist())
        for label, share in ((0, 100 / 420), (1, 300 / 420), (2, 20 / 420)):
            assert abs(counts[label] - share * len(part)) <= 2


def test_choices_do_not_depend_on_torchs_generator():
    torch.manual_seed(1)
    first = stratify([0, 1] * 20, (0.5, 0.5)), round_robin([0, 1] * 20)
    torch.manual_seed(2)
    second = stratify([0, 1] * 20, (0.5, 0.5)), round_robin([0, 1] * 20)
    assert torch.equal(first[0][0], second[0][0])
    assert torch.equal(first[1], second[1])


def test_a_hash_sends_seventy_in_a_hundred_to_training():
    parts = Counter(part_of(f"example {i}".encode()) for i in range(10_000))
    for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        spread = (share * (1 - share) * 10_000) ** 0.5
        assert abs(parts[part] - share * 10_000) <= 5 * spread


def test_a_limit_beyond_the_examples_is_refused():
    assert apply_limit(torch.arange(5), 3).tolist() == [0, 1, 2]
    with pytest.raises(TaskError, match="limit=6, but there are 5"):
        apply_limit(torch.arange(5), 6)


@pytest.mark.parametrize("limit", [None, NO_LIMIT])
def test_no_limit_and_that_of_every_example_leave_all(limit):
    assert apply_limit(torch.arange(5), limit).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (([0], [0], [0]), ["cat"], "only one class in here: cat"),
        (([0, 1], [], [0]), ["cat", "dog"], r"no validation examples \(train 2, validation 0"),
        (([0, 0], [1], [0]), ["cat", "dog"], "no training example of class 'dog'"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(labels, names, message):
    with pytest.raises(DataError, match=message):
        check_parts(dict(zip(PARTS, labels, strict=True)), names, "here")


def steps(count, *, seed=0, batch_size=4, examples=10):
    return [
        rows_at(step, seed=seed, batch_size=batch_size, examples=examples).tolist()
        for step in range(1, count + 1)
    ]


@pytest.mark.slow
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


@pytest.mark.slow
def test_first_places_are_drawn_evenly():
    firsts = Counter(rows_at(1, seed=s, batch_size=1, examples=10).item() for s in range(4_000))
    spread = (4_000 * 0.1 * 0.9) ** 0.5
    assert max(abs(firsts[i] - 400) for i in range(10)) <= 5 * spread


@given(LABELS)
def test_parts_are_those_of_a_plain_search_for_each_class(labels):
    generator, classes = torch.Generator().manual_seed(SEED), torch.tensor(labels)
    spread = torch.empty(len(labels), dtype=torch.float64)
    for label in sorted(set(labels)):
        members = torch.tensor([i for i, other in enumerate(labels) if other == label])
        order = torch.randperm(len(members), generator=generator)
        spread[members] = (order.double() + 0.5) / len(members)
    order = spread.argsort(stable=True)
    ends = [round(end * len(classes)) for end in accumulate((0.5, 0.2, 0.3), initial=0.0)]
    expected = [order[a:b].sort().values.tolist() for a, b in pairwise(ends)]
    assert [part.tolist() for part in stratify(labels, (0.5, 0.2, 0.3))] == expected


@pytest.mark.parametrize(
    "limit", [-1, True, False, 1.0, "5", float("nan"), 2**63, 10**5000, [1]], ids=lambda v: ""
)
def test_a_limit_that_is_no_count_is_refused_wherever_it_is_given(limit):
    for refused in (check_limit, lambda value: apply_limit(torch.arange(3), value)):
        with pytest.raises(TaskError, match=r"^limit must be "):
            refused(limit)


@pytest.mark.parametrize("limit", [None, NO_LIMIT, 1, 2**31 - 1])
def test_a_limit_is_a_count_or_none(limit):
    check_limit(limit)
