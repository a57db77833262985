"""An objective of the user's own, on the public base of consistency objectives."""

from dataclasses import dataclass

import pytest
import torch

import dropsmith as ds
from dropsmith.errors import ObjectiveError
from dropsmith.terms import Loss, Mean


def cosine(a, b):
    return 1 - torch.cosine_similarity(a, b, dim=-1)


@dataclass(frozen=True, kw_only=True, repr=False)
class Cosine(ds.ConsistencyObjective):
    weight: float = 1.0

    def __post_init__(self):
        """Checks of its own, without those of the base."""

    @property
    def consistency_term(self):
        return ds.ConsistencyTerm(weight=self.weight, distance=cosine)


@dataclass(frozen=True, kw_only=True, repr=False)
class Unweighed(ds.ConsistencyObjective):
    @property
    def consistency_term(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        return cosine


def loss(output, batch):
    return Loss(Mean.of(torch.nn.functional.cross_entropy(output, batch, reduction="none")))


def test_its_total_is_the_mean_task_loss_and_the_weighted_mean_distance():
    first, second = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    labels = torch.tensor([0, 1])
    views = ds.Views(outputs=(first, second), batches=(labels, labels), shared_rows=2)
    objective = Cosine(weight=0.5)
    terms = objective.terms(views, loss)
    task = (loss(first, labels).mean.value + loss(second, labels).mean.value) / 2
    assert torch.isclose(terms["consistency"].value, torch.tensor(0.5))
    assert torch.isclose(objective.total(terms, 1), task + 0.5 * 0.5)


def test_a_term_that_is_none_is_refused_in_a_sentence():
    with pytest.raises(ObjectiveError, match=r"Unweighed.consistency_term is a function\n  return"):
        Unweighed()
