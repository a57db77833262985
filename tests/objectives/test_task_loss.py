"""Training as usual, and the control that costs as much as a consistency method."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import TaskLoss, TwoSample
from dropsmith.objectives.losses import classification
from dropsmith.passes.view_values import Views

LABELS = torch.tensor([0, 1, 2, 0])


def draw(n: int) -> Views:
    outputs = tuple(torch.randn(n, 4, 3, generator=torch.Generator().manual_seed(0)))
    return Views(outputs=outputs, batches=(LABELS,) * n, shared_rows=4)


def test_the_task_loss_is_that_of_one_view() -> None:
    views = draw(1)
    total = TaskLoss().total(TaskLoss().terms(views, classification), 1)
    torch.testing.assert_close(total, cross_entropy(views.outputs[0], LABELS))


@pytest.mark.parametrize("n", [2, 3])
def test_the_control_averages_the_task_loss_over_views_and_adds_nothing(n: int) -> None:
    views, objective = draw(n), TwoSample(views=n)
    terms = objective.terms(views, classification)
    want = torch.stack([cross_entropy(one, LABELS) for one in views.outputs]).mean()
    torch.testing.assert_close(objective.total(terms, 1), want)
    assert set(terms) == {"task"}
    assert objective.views_at(7) == n


def test_a_control_of_one_view_is_refused() -> None:
    with pytest.raises(ObjectiveError, match="views must be an integer ≥ 2, got 1"):
        TwoSample(views=1)
