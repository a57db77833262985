from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import Split, Stream
from dropsmith.tasks.language.stream import in_windows
from dropsmith.tasks.language.windows import lengths

TEXTS = st.builds(
    lambda count, window, varying, streams: Stream(
        torch.arange(count), window=window, varying=varying, streams=streams
    ),
    st.integers(2, 60),
    st.integers(1, 9),
    st.booleans(),
    st.integers(1, 7),
)


def epoch(text, size, number=0, seed=3):
    """The batches of one epoch of training."""
    epochs, step = [], 0
    while len(epochs) < number + 2:
        step += 1
        batch = text.batch(step, seed=seed, batch_size=size)
        if not batch.continues:
            epochs.append([])
        epochs[-1].append(batch)
    return epochs[number]


def transitions(batches):
    """Token and label of every place that is counted."""
    every = [(b.columns["tokens"].flatten(), b.columns["labels"].flatten()) for b in batches]
    pairs = [pair for t, n in every for pair in zip(t.tolist(), n.tolist(), strict=True)]
    return [pair for pair in pairs if pair[1] != -100]


@given(TEXTS, st.integers(1, 8), st.integers(0, 2))
def test_every_transition_is_predicted_once_in_every_epoch(text, size, number):
    found = sorted(transitions(epoch(text, size, number)))
    assert found == list(pairwise(range(len(text) + 1)))


@given(TEXTS)
def test_evaluation_predicts_every_transition_once_in_as_many_rows_as_there_are_streams(text):
    batches = list(text.batches(256))
    assert sorted(transitions(batches)) == list(pairwise(range(len(text) + 1)))
    rows = {len(batch.columns["tokens"]) for batch in batches}
    assert rows == {min(text.streams, len(text))}
    assert [batch.continues for batch in batches] == [i > 0 for i in range(len(batches))]


@given(TEXTS, st.integers(1, 8))
def test_each_row_goes_on_where_it_ended_in_the_window_before(text, size):
    for before, after in pairwise(epoch(text, size)):
        counted = after.columns["labels"][:, 0] != -100
        assert torch.equal(
            after.columns["tokens"][counted, 0], before.columns["labels"][counted, -1]
        )


@given(TEXTS, st.integers(1, 8), st.integers(1, 20), st.floats(0.01, 1))
def test_the_examples_a_step_sees_are_the_labels_that_count(text, size, step, share):
    labels = text.batch(step, seed=1, batch_size=size).columns["labels"]
    whole = text.count_examples(step, seed=1, batch_size=size)
    assert whole == int((labels != -100).sum())
    some = -int(-len(labels) * share // 1)
    part = text.count_examples(step, seed=1, batch_size=size, share=share)
    assert part == int((labels[:some] != -100).sum())


def test_the_texts_of_a_batch_differ_by_a_token_at_most():
    batch = Stream(torch.arange(12), window=35).batch(1, seed=0, batch_size=4)
    assert batch.columns["tokens"][:, :2].tolist() == [[0, 1], [3, 4], [6, 7], [9, 10]]
    assert (batch.columns["labels"] != -100).sum(1).tolist() == [3, 3, 3, 2]


def test_windows_are_a_function_of_seed_and_step_whatever_was_asked_before():
    text = Stream(torch.arange(4_000), window=20, varying=True)
    first = [text.batch(s, seed=5, batch_size=4).columns["tokens"] for s in (90, 3, 41)]
    text = Stream(torch.arange(4_000), window=20, varying=True)
    again = [text.batch(s, seed=5, batch_size=4).columns["tokens"] for s in (3, 41, 90)]
    assert all(map(torch.equal, (first[1], first[2], first[0]), again))
    sizes = [[b.columns["tokens"].shape[1] for b in epoch(text, 4, n, s)] for n, s in _OTHERS]
    assert len(set(map(tuple, sizes))) == len(_OTHERS)


_OTHERS = [(0, 5), (1, 5), (2, 5), (0, 6)]


def test_random_lengths_are_those_of_awd_lstm():
    drawn = torch.tensor(lengths(seed=0, epoch=0, width=300_000, window=70)).double()
    count = len(drawn)
    # Around 70 in 95 of 100, around 35 otherwise; floored, so half a token less.
    half = (drawn < 52.5).double().mean()
    assert abs(float(half) - 0.05) < 5 * (0.05 * 0.95 / count) ** 0.5
    for part, centre in ((drawn[drawn > 52.5], 69.5), (drawn[drawn < 52.5], 34.5)):
        # The longest is ten over: a normal number cut off at two deviations is 0.04 smaller.
        assert abs(float(part.mean()) - centre) < 0.06 + 5 * 5 / len(part) ** 0.5
        assert abs(float(part.std()) - 5) < 0.25 + 5 * 5 / (2 * len(part)) ** 0.5
    assert drawn.max() == 80
    assert min(lengths(seed=0, epoch=0, width=300_000, window=12)) == 5


def test_a_step_over_a_shorter_window_learns_that_much_slower():
    text = Stream(torch.arange(95), window=35)
    assert [b.pace for b in epoch(text, 1)] == [1.0, 1.0, 24 / 35]
    varying = Stream(torch.arange(4_000), window=20, varying=True)
    for batch in epoch(varying, 4):
        assert batch.pace == batch.columns["tokens"].shape[1] / 20


def test_rows_to_look_at_are_whole_windows_also_of_a_short_text():
    text = Stream(torch.arange(8), window=3)
    assert text.rows(slice(0, 9))["tokens"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert text.rows(slice(0, 1))["labels"].tolist() == [[1, 2, 3]]
    assert Stream(torch.arange(4)).rows(slice(0, 2))["tokens"].tolist() == [[0, 1, 2]]


def test_a_model_may_call_the_tokens_what_it_likes():
    text = Stream(torch.arange(8)).rename_input("input_ids")
    assert set(text.batch(1, seed=0, batch_size=2).columns) == {"input_ids", "labels"}
    assert set(text.tensors()) == {"input_ids"}


@pytest.mark.parametrize("change", [{"tokens": torch.arange(1)}, {"window": 0}, {"streams": 0}])
def test_a_stream_without_anything_to_predict_is_refused(change):
    with pytest.raises(DataError, match="at least two tokens"):
        Stream(**{"tokens": torch.arange(5)} | change)


def test_a_budget_may_ask_for_other_windows():
    text = Stream(torch.arange(99), streams=3)
    assert in_windows(text, None, varying=False) is text
    assert in_windows(text, 7, varying=False) == replace(text, window=7)
    assert in_windows(text, None, varying=True) == replace(text, varying=True)


def test_windows_of_examples_that_are_none_are_refused():
    with pytest.raises(
        TaskError, match="window=7 and varying=False, but these examples are no text"
    ):
        in_windows(Split({"x": torch.zeros(3)}), 7, varying=False)
