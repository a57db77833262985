"""`Views` is a value, and finds the scores in whatever a model returns."""

import pytest
import torch

from dropsmith.errors import ViewError
from dropsmith.views import Views, logits_of, views
from sites.zoo import WIDTH, mlp, seeded

SCORES = torch.ones(2, 3)


class Output:
    logits = SCORES


@pytest.mark.parametrize(
    "output",
    [SCORES, Output(), {"logits": SCORES}, (SCORES, 1), (torch.tensor(0.5), SCORES)],
    ids=["tensor", "attribute", "mapping", "tuple", "loss first"],
)
def test_scores_are_found(output):
    assert logits_of(output) is SCORES


@pytest.mark.parametrize("output", [None, {}, {"scores": SCORES}, (), (1, SCORES[0, 0]), "a"])
def test_what_has_no_scores_is_an_error_that_says_where_it_looked(output):
    with pytest.raises(ViewError, match=r"a (NoneType|dict|tuple|str)\n.*\.logits"):
        logits_of(output)


def test_a_view_for_each_output():
    made = views(mlp(), seeded(4, WIDTH), 3)
    assert len(made) == len(made.outputs) == len(made.batches) == 3
    assert all(a is b for a, b in zip(made.logits, made.outputs, strict=True))
    assert Views(outputs=(), batches=(), shared_rows=0).logits == ()
