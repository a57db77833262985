"""Outputs of two batches beside those of both: axes of rows, and whether the values are alike."""

import pytest
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from batches.zoo import Moments, Pair, drawn
from dropsmith.batches import alike_within, close
from dropsmith.batches.compare_rows import (
    Mismatch,
    has_losses,
    leading_axis,
    losses_alike,
    output_axes,
)
from dropsmith.batches.packed import join_sequences, take_sequences
from noise.sequences import PACKED

A, B = drawn(2, 5), drawn(2, 5, seed=1)
BOTH = torch.cat([A, B])
TABLE = drawn(4, 4, seed=2)
SAME = [
    (A, B, BOTH, 0),
    (A.T, B.T, BOTH.T, 1),
    (drawn(2, 2), drawn(2, 2, seed=1), torch.cat([drawn(2, 2), drawn(2, 2, seed=1)], 1), 1),
    ((A, TABLE), (B, TABLE), (BOTH, TABLE), (0, None)),
    (Pair(A, A.T), Pair(B, B.T), Pair(BOTH, BOTH.T), (0, 1)),
    (Moments(A, TABLE), Moments(B, TABLE), Moments(BOTH, TABLE), (0, None, None)),
    ({"n": 2, "a": [A]}, {"n": 2, "a": [B]}, {"n": 4, "a": [BOTH]}, (None, (0,))),
    (A > 0, B > 0, BOTH > 0, 0),
    ([{"b": A}, {"b": A}], [{"b": B}, {"b": B}], [{"b": x} for x in (A, A, B, B)], 0),
    (A[:, None].expand(2, 3, 5).flatten(0, 1), *[x.repeat_interleave(3, 0) for x in (B, BOTH)], 0),
    (take_sequences(PACKED, [0, 1]), take_sequences(PACKED, [2, 3]), PACKED, 0),
    (
        SequenceClassifierOutput(loss=A.mean(), logits=A),
        SequenceClassifierOutput(loss=B.mean(), logits=B),
        SequenceClassifierOutput(loss=BOTH.mean(), logits=BOTH),
        (None, 0),
    ),
]


@pytest.mark.parametrize(("first", "second", "both", "axes"), SAME)
def test_rows_are_found_on_the_axis_that_grows(first, second, both, axes):
    assert output_axes(first, second, both) == (axes, True)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (A, B, BOTH + 1e-2),
        (A, B, torch.cat([B, A])),
        ((A, TABLE), (B, TABLE), (BOTH, TABLE + 1)),
        ((A, A.sum()), (B, B.sum()), (BOTH, BOTH.sum())),
        ([{"b": A}] * 2, [{"b": B}] * 2, [{"b": x} for x in (A, B, A, B)]),
        (PACKED, PACKED, join_sequences([PACKED, take_sequences(PACKED, [1, 0, 2, 3])])),
    ],
)
def test_other_values_than_those_of_the_two_are_seen(first, second, both):
    assert output_axes(first, second, both)[1] is False


@pytest.mark.parametrize(
    ("first", "second", "both", "words"),
    [
        (TABLE, TABLE, TABLE, "does not grow"),
        (A.mean(), B.mean(), BOTH.mean(), "does not grow"),
        (None, None, None, "does not grow"),
        (A @ A.T, B @ B.T, BOTH @ BOTH.T, "not in proportion"),
        (A, B, BOTH[:3], "not in proportion"),
        ((A,) * 2, (B,) * 2, (BOTH,) * 3, "another structure"),
        ((A, None), (B, None), (BOTH, B), None),
        ((A, A), (B, None), (BOTH, B), "another structure"),
    ],
)
def test_outputs_in_which_no_rows_are_found_say_why(first, second, both, words):
    if words is None:
        assert output_axes(first, second, both)[0] == (0, None)
    else:
        with pytest.raises(Mismatch, match=words):
            output_axes(first, second, both)


def test_the_leading_axis_is_that_of_the_first_leaf_with_rows():
    assert leading_axis((TABLE, {"a": A.T}), (None, (1,))) == (1, 2)
    assert leading_axis(TABLE, None) is None
    assert leading_axis((), ()) is None


def test_a_mean_loss_is_the_same_where_every_row_comes_twice_and_a_sum_is_not():
    twice = torch.cat([A, A])
    assert has_losses({"loss": A.mean(), "y": A})
    assert not has_losses((A, torch.tensor(3)))
    assert losses_alike({"loss": A.square().mean()}, {"loss": twice.square().mean()})
    assert not losses_alike({"loss": A.square().sum()}, {"loss": twice.square().sum()})
    assert not losses_alike((A @ A.T).logsumexp(1).mean(), (twice @ twice.T).logsumexp(1).mean())


@pytest.mark.parametrize(
    ("dtype", "near", "far"),
    [(torch.float64, 1e-12, 1e-8), (torch.float32, 1e-6, 1e-2), (torch.bfloat16, 1e-2, 0.5)],
)
def test_rounding_is_close_and_more_is_not(dtype, near, far):
    x = torch.linspace(-1, 1, 7, dtype=dtype)
    assert close(x + near, x)
    assert not close(x + far, x)
    assert not close(x.to(torch.float16), x)
    assert not close(x[1:], x)


def test_integers_and_booleans_are_close_where_they_are_equal():
    assert close(torch.arange(3), torch.arange(3))
    assert not close(torch.arange(3), torch.arange(1, 4))
    assert not close(torch.tensor([True]), torch.tensor([False]))


def test_infinities_and_what_is_no_number_are_compared_as_such():
    x = torch.tensor([1.0, float("inf"), float("nan"), -float("inf")])
    assert alike_within(x, x.clone(), 1e-4)
    assert not alike_within(x.flip(0), x, 1e-4)
    assert alike_within(torch.full((2,), float("nan")), torch.full((2,), float("nan")), 1e-4)
