"""A coefficient means one thing: however the items are spread over batches, padding or rows."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

import dropsmith as ds
from consistency.tiny import (
    ALIKE,
    PLAN,
    X,
    Y,
    assert_equal_gradients,
    integers,
    net,
    of_rows,
    of_tokens,
    passes,
    symmetric,
    token_net,
    with_plan,
)
from dropsmith.consistency import consistent, terms_of
from dropsmith.objectives import Fraternal, PiModel, RDrop, TwoSample
from dropsmith.terms import Mean

OBJECTIVES = [
    TwoSample(),
    RDrop(alpha=2.0),
    RDrop(alpha=2.0, views=3),
    Fraternal(kappa=0.5),
    PiModel(kappa=0.5),
]
ONE_MASK = ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.5, shared="batch time")))
WORDS, LABELS = integers(20, 32, 5), integers(20, 32, 5, seed=1)
LABELS[torch.rand(32, 5, generator=torch.Generator().manual_seed(2)) < 0.4] = -100
LABELS[:8, 1:] = -100  # so that micro-batches hold very different numbers of items


def words_model(objective):
    return consistent(token_net(), objective, loss=of_tokens, plan=ONE_MASK)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_four_micro_batches_add_up_to_the_whole_batch(objective):
    whole, parts = words_model(objective), words_model(objective)
    items = int((LABELS != -100).sum())
    loss = whole(WORDS, labels=LABELS, num_items_in_batch=items).loss
    loss.backward()
    added = torch.zeros(())
    for words, labels in zip(WORDS.chunk(4), LABELS.chunk(4), strict=True):
        ds.step(parts, 0)  # the same masks, so that only the division differs
        part = parts(words, labels=labels, num_items_in_batch=torch.tensor(items)).loss
        part.backward()
        added += part.detach()
    torch.testing.assert_close(added, loss.detach(), rtol=1e-6, atol=1e-6)
    assert_equal_gradients(parts, whole)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_counting_all_items_of_one_batch_is_the_same_as_not_counting(objective):
    counted, plain = words_model(objective), words_model(objective)
    items = int((LABELS != -100).sum())
    loss = counted(WORDS, labels=LABELS, num_items_in_batch=items).loss
    torch.testing.assert_close(loss, plain(WORDS, labels=LABELS).loss)


@pytest.mark.parametrize("batch_fraction", [1.0, 0.5])
def test_parts_of_an_optimiser_step_weigh_by_their_items_also_for_a_share_of_the_rows(
    batch_fraction,
):
    objective = RDrop(alpha=2.0, batch_fraction=batch_fraction)
    model = consistent(net(), objective, loss=of_rows, plan=ALIKE)
    alone = [model(x, labels=y).loss for x, y in ((X, Y), (X[:2], Y[:2]))]
    ds.step(model, 0)
    parts = [model(x, labels=y, num_items_in_batch=10).loss for x, y in ((X, Y), (X[:2], Y[:2]))]
    torch.testing.assert_close(parts, [alone[0] * 8 / 10, alone[1] * 2 / 10])


def test_a_micro_batch_of_nothing_but_padding_adds_nothing():
    model = words_model(RDrop(alpha=2.0))
    model(WORDS, labels=LABELS)
    loss = model(WORDS, labels=torch.full_like(LABELS, -100), num_items_in_batch=9).loss
    loss.backward()
    assert loss == 0
    assert all(not parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_padding_changes_neither_loss_nor_gradients(objective):
    short, long = words_model(objective), words_model(objective)
    loss = short(WORDS, labels=LABELS).loss
    words = torch.cat([WORDS, integers(20, 32, 3)], 1)
    padded = long(words, labels=torch.cat([LABELS, torch.full((32, 3), -100)], 1)).loss
    torch.testing.assert_close(padded, loss, rtol=1e-6, atol=1e-6)
    loss.backward()
    padded.backward()
    assert_equal_gradients(long, short)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_a_batch_said_twice_has_the_same_loss_and_gradients(objective):
    once, twice = words_model(objective), words_model(objective)
    loss = once(WORDS, labels=LABELS).loss
    doubled = twice(torch.cat([WORDS] * 2), labels=torch.cat([LABELS] * 2)).loss
    torch.testing.assert_close(doubled, loss, rtol=1e-6, atol=1e-6)
    loss.backward()
    doubled.backward()
    assert_equal_gradients(twice, once)


def test_later_views_see_the_leading_share_of_the_rows_rounded_up():
    model = consistent(net(), RDrop(alpha=1, batch_fraction=0.3), loss=of_rows, plan=PLAN)
    model(X, labels=Y)
    terms = terms_of(model)
    assert (terms["task"].count, terms["consistency"].count) == (8 + 3, 3)


RARE = [1.0, 4.0, 0.5]


def weighted(model, objective, y, x):
    """The loss by hand: torch's weighted cross-entropy of both views, and the term over items."""
    pair = passes(model, objective, x)
    task = cross_entropy(torch.cat(pair), y.repeat(len(pair)), weight=torch.tensor(RARE))
    return task + objective.alpha / 2 * symmetric(pair)


def test_class_weights_are_torchs_and_leave_the_term_alone():
    objective = RDrop(alpha=2.0)
    model = consistent(
        net(), objective, loss="classification", plan=PLAN, class_weights=torch.tensor(RARE)
    )
    other = with_plan(net())
    loss = model(X, labels=Y).loss
    want = weighted(other, objective, Y, X)
    torch.testing.assert_close(loss, want)
    loss.backward()
    want.backward()
    assert_equal_gradients(model, other)
    counts = {name: float(term.count) for name, term in terms_of(model).items()}
    assert counts == {"task": 2 * float(torch.tensor(RARE)[Y].sum()), "consistency": 8.0}


def test_micro_batches_with_class_weights_weigh_by_their_items_and_keep_the_scale():
    model = consistent(
        net(), RDrop(alpha=2.0), loss="classification", plan=ALIKE, class_weights=RARE
    )
    batches = ((X, Y), (X[:2], Y[:2]))
    alone = [model(x, labels=y).loss for x, y in batches]
    ds.step(model, 0)
    parts = [model(x, labels=y, num_items_in_batch=10).loss for x, y in batches]
    torch.testing.assert_close(parts, [alone[0] * 8 / 10, alone[1] * 2 / 10])


def test_a_loss_that_counts_something_else_than_the_trainer_keeps_its_scale():
    def halved(output, batch):
        loss = of_rows(output, batch)
        return replace(loss, mean=Mean(loss.mean.sum, loss.mean.count / 2))

    model = consistent(net(), TwoSample(), loss=halved, plan=ALIKE)
    alone = model(X, labels=Y).loss
    ds.step(model, 0)
    parts = [
        model(x, labels=y, num_items_in_batch=8).loss
        for x, y in zip(X.split([2, 6]), Y.split([2, 6]), strict=True)
        if not ds.step(model, 0)
    ]
    torch.testing.assert_close(sum(parts), alone)
