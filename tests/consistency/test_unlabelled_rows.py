"""Rows without a label in a consistent model."""

import pytest
import torch

from consistency.tiny import PLAN, X, Y, net, of_rows
from dropsmith.consistency import consistent, terms_of
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import UDA, PiModel

NONE = torch.full_like(Y, -100)
OBJECTIVES = (UDA(confidence=0.0), PiModel(kappa=1.0, term_rows="all"))


def model(objective):
    return consistent(net(), objective, loss=of_rows, plan=PLAN)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("items", [None, 0])
def test_a_batch_without_any_label_has_the_mean_of_its_term(objective, items):
    kwargs = {} if items is None else {"num_items_in_batch": items}
    made = model(objective)
    loss = made(X, labels=NONE, **kwargs).loss
    terms = terms_of(made)
    assert float(terms["task"].count) == 0
    assert float(terms["consistency"].count) == len(X)
    torch.testing.assert_close(loss.detach(), terms["consistency"].value)
    loss.backward()


def test_micro_batches_alike_add_up_to_the_whole_batch():
    labels = torch.cat([Y[:2], NONE[:2], Y[4:6], NONE[6:]])
    objective = PiModel(kappa=1.0, term_rows="unlabelled")
    parts = []
    for _ in range(2):  # each part of a model of its own: one step, the same masks
        part = model(objective)
        rows = slice(0, 4) if not parts else slice(4, 8)
        parts.append((part(X[rows], labels=labels[rows], num_items_in_batch=4).loss, part))
    found = sum(loss.detach() for loss, _ in parts)
    means = [terms_of(part) for _, part in parts]
    for name in ("task", "consistency"):
        count = means[0][name].count + means[1][name].count
        assert float(count) == 4
    expected = sum((means[0][name] + means[1][name]).value for name in ("task", "consistency"))
    torch.testing.assert_close(found, expected)


def test_a_micro_batch_without_a_label_among_others_cannot_be_weighed():
    with pytest.raises(ObjectiveError, match="cannot be weighed: num_items_in_batch=3"):
        model(OBJECTIVES[0])(X, labels=NONE, num_items_in_batch=3)
