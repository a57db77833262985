"""When a consistency term is due, how it is weighed, and what carries the task loss."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import Fraternal, RDrop, SquaredDistance
from dropsmith.objectives.distances import squared_distance, symmetric_kl
from dropsmith.objectives.losses import classification
from dropsmith.passes.view_values import Views

KINDS = [RDrop(alpha=2), Fraternal(kappa=1), SquaredDistance(kappa=1)]
LABELS = torch.arange(8) % 5


def draw(n: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(n, 8, 5, dtype=torch.float64, generator=generator))


def views_of(*outputs: Tensor) -> Views:
    batches = tuple(LABELS[: len(output)] for output in outputs)
    return Views(outputs=outputs, batches=batches, shared_rows=min(map(len, outputs)))


def total(objective: Any, *outputs: Tensor, step: int = 1) -> Tensor:
    return objective.total(objective.terms(views_of(*outputs), classification), step)


@pytest.mark.parametrize("kind", [RDrop, Fraternal])
def test_the_weight_rises_linearly_to_its_full_value(kind: Any) -> None:
    name = "alpha" if kind is RDrop else "kappa"
    full = kind(**{name: 3}).weight_at(1)
    ramp = kind(**{name: 3}, warmup=4)
    assert [ramp.weight_at(step) / full for step in (1, 2, 4, 5, 99)] == [0.25, 0.5, 1, 1, 1]


def test_the_total_uses_the_weight_of_the_step() -> None:
    first, second = draw(2)
    task = (cross_entropy(first, LABELS) + cross_entropy(second, LABELS)) / 2
    term = squared_distance(first, second).mean()
    got = total(Fraternal(kappa=2, warmup=10), first, second, step=5)
    torch.testing.assert_close(got, task + 1.0 * term)


def test_the_term_is_made_every_so_many_steps_and_others_have_one_view() -> None:
    objective = RDrop(alpha=1, every=3, views=4)
    assert [objective.views_at(step) for step in range(1, 8)] == [1, 1, 4, 1, 1, 4, 1]


def test_a_step_without_the_term_is_the_plain_task_loss() -> None:
    objective, (first, second) = RDrop(alpha=1, every=2), draw(2)
    torch.testing.assert_close(total(objective, first), cross_entropy(first, LABELS))
    assert total(objective, first, second, step=2) > total(objective, first, second, step=1)


def test_task_loss_views_that_a_step_does_not_make_are_left_out() -> None:
    objective = SquaredDistance(kappa=1, views=3, task_loss_views=(0, 2), every=2)
    first, second, third = draw(3)
    torch.testing.assert_close(total(objective, first), cross_entropy(first, LABELS))
    task = objective.terms(views_of(first, second, third), classification)["task"]
    want = (cross_entropy(first, LABELS) + cross_entropy(third, LABELS)) / 2
    torch.testing.assert_close(task.value, want)


def test_one_view_where_the_term_is_due_is_an_error() -> None:
    with pytest.raises(ObjectiveError, match=r"needs 2 views at step 1[\s\S]*views_at"):
        total(RDrop(alpha=1), draw(1)[0])


def test_every_example_of_every_view_weighs_the_same_in_the_task_loss() -> None:
    first, second = draw(2)
    objective = RDrop(alpha=0, batch_fraction=0.25)
    items = torch.cat((first, second[:2])), torch.cat((LABELS, LABELS[:2]))
    torch.testing.assert_close(total(objective, first, second[:2]), cross_entropy(*items))


def test_the_term_is_a_mean_over_the_share_of_the_batch() -> None:
    first, second = draw(2)
    terms = RDrop(alpha=1, batch_fraction=0.25).terms(views_of(first, second[:2]), classification)
    want = symmetric_kl(first[:2], second[:2]).mean()
    torch.testing.assert_close(terms["consistency"].value, want)


def test_alpha_zero_measures_the_term_and_does_not_train_on_it() -> None:
    first, second = (x.requires_grad_() for x in draw(2))
    terms = RDrop(alpha=0).terms(views_of(first, second), classification)
    assert terms["consistency"].value > 0
    total_slopes = torch.autograd.grad(RDrop(alpha=0).total(terms, 1), (first, second))
    task = (cross_entropy(first, LABELS) + cross_entropy(second, LABELS)) / 2
    torch.testing.assert_close(total_slopes, torch.autograd.grad(task, (first, second)))


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"views": 1}, "views must be an integer ≥ 2, got 1"),
        ({"views": 2.0}, "views must be an integer"),
        ({"warmup": -1}, "warmup must be an integer ≥ 0"),
        ({"every": 0}, "every must be an integer ≥ 1"),
        ({"every": True}, "every must be an integer"),
        ({"batch_fraction": 0}, r"batch_fraction must be in \(0, 1\]"),
        ({"batch_fraction": 1.5}, r"batch_fraction must be in \(0, 1\]"),
        ({"batch_fraction": "half"}, "batch_fraction must be a finite number"),
    ],
)
def test_settings_that_mean_nothing_are_refused(kind: Any, setting: Any, text: str) -> None:
    coefficient = {"alpha": 1} if isinstance(kind, RDrop) else {"kappa": 1}
    with pytest.raises(ObjectiveError, match=text):
        type(kind)(**coefficient, **setting)
