import pytest
import torch

from dropsmith.errors import DataError
from dropsmith.models.small_seq2seq import BEGIN, END, PAD
from dropsmith.tasks import Sequences

SEED = 3


def some(count=57):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 12, (count, 2), generator=generator).tolist()
    # The first token of each source says which pair it is.
    return Sequences.of(
        [[10 + i] + [3] * (a - 1) for i, (a, _) in enumerate(sizes)], [[4] * b for _, b in sizes]
    )


def epoch_of(pairs, batch_size, epoch):
    """The batches of an epoch, found by stepping until every pair was seen."""
    steps, seen = [], 0
    first = 1
    for _ in range(epoch + 1):
        steps, seen = [], 0
        while seen < len(pairs):
            steps.append(pairs.batch(first, seed=SEED, batch_size=batch_size).columns)
            seen += len(steps[-1]["source"])
            first += 1
    return steps


@pytest.mark.parametrize("batch_size", [1, 24, 50, 10_000])
@pytest.mark.parametrize("epoch", [0, 2])
def test_an_epoch_sees_every_pair_once(batch_size, epoch):
    seen = [int(i) for batch in epoch_of(some(), batch_size, epoch) for i in batch["source"][:, 0]]
    assert sorted(seen) == [10 + i for i in range(57)]


def test_a_batch_holds_no_more_tokens_than_it_may_and_little_padding():
    batches = epoch_of(some(), 50, 0)
    padding = total = 0
    for batch in batches:
        for name in ("source", "labels"):
            assert batch[name].numel() <= 50
        longest = torch.maximum((batch["source"] != 0).sum(1), (batch["labels"] != -100).sum(1))
        padding += int((longest.max() - longest).sum())
        total += int(longest.sum())
    assert padding < 0.1 * total


def test_a_pair_longer_than_a_batch_is_a_batch_of_its_own():
    pairs = Sequences.of([[5] * 30, [6]], [[5], [6]])
    sizes = [b["source"].shape for b in epoch_of(pairs, 8, 0)]
    assert sorted(map(tuple, sizes)) == [(1, 2), (1, 31)]


def test_epochs_and_seeds_differ_and_the_same_step_is_the_same():
    pairs = some()

    def order(seed, step):
        return pairs.batch(step, seed=seed, batch_size=24).columns["source"][:, 0].tolist()

    steps = len(epoch_of(pairs, 24, 0))
    assert order(0, 4) == order(0, 4)
    assert [order(0, s + 1) for s in range(steps)] != [order(1, s + 1) for s in range(steps)]
    assert [order(0, s + 1) for s in range(steps)] != [
        order(0, s + 1 + steps) for s in range(steps)
    ]


def test_the_views_of_a_step_are_its_pairs_and_a_share_of_them():
    pairs = some()
    for step in (1, 5, 9):
        rows = len(pairs.batch(step, seed=SEED, batch_size=24).columns["source"])
        assert pairs.count_examples(step, seed=SEED, batch_size=24) == rows
        assert pairs.count_examples(step, seed=SEED, batch_size=24, share=0.5) == -(-rows // 2)


def test_labels_are_the_target_one_step_on_and_padding_counts_nowhere():
    batch = Sequences.of([[7], [8, 9]], [[5, 6], []]).rows(slice(0, 2))
    assert batch["source"].tolist() == [[7, END, PAD], [8, 9, END]]
    assert batch["target"].tolist() == [[BEGIN, 5, 6], [BEGIN, END, PAD]]
    assert batch["labels"].tolist() == [[5, 6, END], [END, -100, -100]]


def test_evaluation_reads_every_pair_in_order():
    pairs = some()
    rows = [r for batch in pairs.batches(10) for r in batch.columns["source"][:, 0].tolist()]
    assert rows == [10 + i for i in range(57)]


def test_no_pairs_are_an_error():
    with pytest.raises(DataError, match="no pairs"):
        Sequences.of([], [])
