"""R-Drop's scale is the paper's, and each choice does what its name says."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    kl_div,
    mse_loss,
)

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop, losses
from dropsmith.objectives.distances import jensen_shannon, per_label, symmetric_kl
from dropsmith.passes.view_values import Views


def draw(n: int = 2, *shape: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(n, *(shape or (6, 5)), dtype=torch.float64, generator=generator)
    return tuple(one.requires_grad_() for one in drawn)


def total(objective: RDrop, outputs: tuple[Tensor, ...], labels: Tensor, loss: Any) -> Tensor:
    batches = (labels,) * len(outputs)
    views = Views(outputs=outputs, batches=batches, shared_rows=len(labels))
    return objective.total(objective.terms(views, loss), 1)


def one_way(a: Tensor, b: Tensor) -> Tensor:
    return kl_div(b.log_softmax(-1), a.softmax(-1), reduction="batchmean")


LABELS = torch.arange(6) % 5


@pytest.mark.parametrize("alpha", [0.1, 1, 5])
def test_the_total_is_half_of_the_papers(alpha: float) -> None:
    first, second = draw()
    paper = (
        cross_entropy(first, LABELS)
        + cross_entropy(second, LABELS)
        + alpha * (one_way(first, second) + one_way(second, first)) / 2
    )
    got = total(RDrop(alpha=alpha), (first, second), LABELS, losses.classification)
    torch.testing.assert_close(got, paper / 2)
    torch.testing.assert_close(
        torch.autograd.grad(got, (first, second), retain_graph=True),
        torch.autograd.grad(paper / 2, (first, second)),
    )


def test_tokens_are_averaged_over_those_that_are_not_padding() -> None:
    outputs = draw(2, 3, 4, 5)
    labels = torch.tensor([[1, 2, 3, 4], [0, 1, -100, -100], [2, -100, -100, -100]])
    flat = [one.flatten(0, 1)[labels.flatten() != -100] for one in outputs]
    want = total(RDrop(alpha=5), tuple(flat), labels[labels != -100], losses.classification)
    torch.testing.assert_close(total(RDrop(alpha=5), outputs, labels, losses.tokens), want)


def test_several_labels_are_compared_as_so_many_coins() -> None:
    outputs, labels = draw(), (torch.arange(30).view(6, 5) % 3 == 0).double()
    task = sum(binary_cross_entropy_with_logits(one, labels) for one in outputs) / 2
    term = per_label(symmetric_kl, *outputs).mean()
    got = total(RDrop(alpha=3, kind="multi_label"), outputs, labels, losses.multi_label)
    torch.testing.assert_close(got, task + 1.5 * term)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_values_are_compared_by_their_squared_difference(shape: tuple[int, ...]) -> None:
    first, second = draw(2, *shape)
    labels = torch.linspace(0, 1, first.numel(), dtype=torch.float64).view(shape)
    # The paper's total for regression, halved: MSE₁ + MSE₂ + α MSE(1, 2).
    paper = mse_loss(first, labels) + mse_loss(second, labels) + 3 * mse_loss(first, second)
    got = total(RDrop(alpha=3, kind="regression"), (first, second), labels, losses.regression)
    torch.testing.assert_close(got, paper / 2)


@pytest.mark.parametrize(
    ("divergence", "term"),
    [
        ("forward", one_way),
        ("backward", lambda a, b: one_way(b, a)),
        ("js", lambda a, b: jensen_shannon(a, b).mean()),
    ],
)
def test_other_divergences_replace_the_symmetric_one(divergence: Any, term: Any) -> None:
    first, second = draw()
    task = (cross_entropy(first, LABELS) + cross_entropy(second, LABELS)) / 2
    objective = RDrop(alpha=4, divergence=divergence)
    got = total(objective, (first, second), LABELS, losses.classification)
    torch.testing.assert_close(got, task + 2 * term(first, second))


@pytest.mark.parametrize("held", [0, 1])
def test_a_view_that_is_held_learns_from_its_task_loss_alone(held: int) -> None:
    outputs = draw()
    objective = RDrop(alpha=5, stop_gradient=held)
    slopes = torch.autograd.grad(total(objective, outputs, LABELS, losses.classification), outputs)
    alone = [torch.autograd.grad(cross_entropy(one, LABELS) / 2, one)[0] for one in outputs]
    torch.testing.assert_close(slopes[held], alone[held])
    assert not torch.allclose(slopes[1 - held], alone[1 - held])


def term_slopes(objective: RDrop) -> tuple[Tensor, ...]:
    outputs = draw()
    return torch.autograd.grad(
        objective.consistency_term.distance(*outputs).sum(), outputs, materialize_grads=True
    )


@pytest.mark.parametrize(
    ("divergence", "learners"),
    [("symmetric", [True, True]), ("forward", [False, True]), ("backward", [True, False])],
)
def test_targets_of_each_kl_can_be_held(divergence: Any, learners: list[bool]) -> None:
    held = term_slopes(RDrop(alpha=1, divergence=divergence, stop_gradient="targets"))
    free = term_slopes(RDrop(alpha=1, divergence=divergence))
    assert [bool(slope.any()) for slope in held] == learners
    assert all(slope.any() for slope in free)


@pytest.mark.parametrize("kind", ["classification", "multi_label"])
def test_holding_targets_changes_gradients_and_no_value(kind: Any) -> None:
    outputs = draw()
    for divergence in ("symmetric", "forward", "backward"):
        free = RDrop(alpha=1, kind=kind, divergence=divergence)
        held = RDrop(alpha=1, kind=kind, divergence=divergence, stop_gradient="targets")
        torch.testing.assert_close(
            held.consistency_term.distance(*outputs), free.consistency_term.distance(*outputs)
        )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"alpha": -1}, "alpha must be a finite number ≥ 0, got -1"),
        ({"alpha": float("nan")}, "alpha must be a finite number"),
        ({"alpha": "5"}, "alpha must be a finite number"),
        ({"alpha": 1, "kind": "clasification"}, r"no kind[\s\S]*did you mean 'classification'"),
        ({"alpha": 1, "divergence": "symetric"}, r"no divergence[\s\S]*'symmetric'"),
        (
            {"alpha": 1, "kind": "regression", "divergence": "js"},
            "the term is the squared difference",
        ),
        ({"alpha": 1, "stop_gradient": 2}, "views are numbered from 0 to 1"),
        ({"alpha": 1, "stop_gradient": "target"}, "no view 'target'"),
        ({"alpha": 1, "stop_gradient": "targets", "divergence": "js"}, "first argument of a KL"),
        ({"alpha": 1, "stop_gradient": "targets", "kind": "regression"}, "first argument of a KL"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ObjectiveError, match=text):
        RDrop(**settings)
