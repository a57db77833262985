from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import (
    ActivationNorm,
    ExpectationLinear,
    Fraternal,
    Objective,
    RDrop,
    TaskLoss,
)
from dropsmith.objectives.losses import tokens
from dropsmith.passes.view_values import Views
from dropsmith.terms import Terms
from dropsmith.testing.objective import ObjectiveContract, Rows


@dataclass(frozen=True)
class Output:
    logits: Tensor
    raw: Tensor
    dropped: Tensor


class Regularised(ObjectiveContract):
    """Scores stand for the recurrent states, too."""

    objectives = (
        ActivationNorm(of=TaskLoss()),
        ActivationNorm(of=Fraternal(kappa=0.15), alpha=0.5, beta=3.0),
        ActivationNorm(of=RDrop(alpha=1, batch_fraction=0.5), alpha=0.0),
        ActivationNorm(of=ExpectationLinear(kappa=0.25), beta=0.0),
    )

    def states(self, scores: Tensor) -> Tensor:
        return scores

    def loss(self, output: Any, batch: Any) -> Any:
        return tokens(output.logits if isinstance(output, Output) else output, batch)

    def terms(self, objective: Objective, rows: Rows) -> Terms:
        made = rows.views()
        outputs = tuple(Output(one, self.states(one), self.states(one)) for one in made.outputs)
        whole = Views(outputs=outputs, batches=made.batches, shared_rows=made.shared_rows)
        return objective.terms(whole, self.loss)


class TestOnStates(Regularised):
    softmax = False  # states have no impossible classes

    def test_views_that_agree_cost_the_task_loss_and_no_more(self, objective: Objective) -> None:
        rows = self.rows(objective, 4)
        alike = Rows(tuple(rows.scores[0][: len(score)] for score in rows.scores), rows.labels)
        terms = self.terms(objective, alike)
        # Views agree, and the states still cost what they do by themselves.
        states = {name: terms[name] for name in ("task", "activation", "temporal")}
        alone = replace(objective, of=TaskLoss())
        torch.testing.assert_close(self.value(objective, alike), alone.total(states, 1))
        assert alone.total(states, 1) > terms["task"].value


class TestOnStatesThatAreZero(Regularised):
    def states(self, scores: Tensor) -> Tensor:
        return torch.zeros_like(scores)


def drawn(rows=3, steps=5, units=4, classes=7, seed=0):
    made = torch.Generator().manual_seed(seed)
    shapes = ((rows, steps, classes), (rows, steps, units), (rows, steps, units))
    return Output(*(torch.randn(shape, generator=made, dtype=torch.float64) for shape in shapes))


LABELS = torch.randint(7, (3, 5), generator=torch.Generator().manual_seed(9))


def once(*outputs):
    return Views(outputs=outputs, batches=(LABELS,) * len(outputs), shared_rows=3)


def loss(output, labels):
    return tokens(output.logits, labels)


def by_hand(output, kept):
    """AR and TAR element by element."""
    squares, changes = [], []
    for row in range(3):
        for step in range(5):
            for unit in range(4):
                if not kept[row][step]:
                    continue
                squares.append(float(output.dropped[row, step, unit]) ** 2)
                if step and kept[row][step - 1]:
                    now, before = output.raw[row, step, unit], output.raw[row, step - 1, unit]
                    changes.append(float(now - before) ** 2)
    return sum(squares) / len(squares), sum(changes) / len(changes)


def test_the_terms_are_means_over_rows_steps_and_units():
    objective, output = ActivationNorm(of=TaskLoss(), alpha=2.0, beta=1.0), drawn()
    terms = objective.terms(once(output), loss)
    square, change = by_hand(output, [[True] * 5] * 3)
    assert float(terms["activation"].value) == pytest.approx(square)
    assert float(terms["temporal"].value) == pytest.approx(change)
    task = float(loss(output, LABELS).mean.value)
    assert float(objective.total(terms, 1)) == pytest.approx(task + 2 * square + change)


def test_steps_whose_loss_is_not_counted_are_left_out():
    labels = LABELS.clone()
    labels[0, 3:] = labels[2, 1] = -100
    output = drawn()
    kept = (labels != -100).tolist()
    made = Views(outputs=(output,), batches=(labels,), shared_rows=3)
    terms = ActivationNorm(of=TaskLoss()).terms(made, loss)
    square, change = by_hand(output, kept)
    assert float(terms["activation"].value) == pytest.approx(square)
    assert float(terms["temporal"].value) == pytest.approx(change)


def test_the_first_view_alone_is_regularised():
    one, other = drawn(), drawn(seed=1)
    objective = ActivationNorm(of=Fraternal(kappa=0.1))
    terms = objective.terms(once(one, other), loss)
    alone = ActivationNorm(of=TaskLoss()).terms(once(one), loss)
    for name in ("activation", "temporal"):
        assert torch.equal(terms[name].value, alone[name].value)
    plain = Fraternal(kappa=0.1).terms(once(one, other), loss)
    for name in ("task", "consistency"):
        assert torch.equal(terms[name].value, plain[name].value)


def test_it_asks_for_the_views_of_the_objective_it_is_added_to():
    objective = ActivationNorm(of=ExpectationLinear(kappa=0.25, every=2, batch_fraction=0.5))
    assert [objective.views_at(step) for step in (1, 2)] == [1, 2]
    assert (objective.noise_free, objective.batch_fraction) == ((1,), 0.5)


def test_a_window_of_one_step_has_no_change():
    output = drawn(steps=1)
    made = Views(outputs=(output,), batches=(LABELS[:, :1],), shared_rows=3)
    terms = ActivationNorm(of=TaskLoss()).terms(made, loss)
    assert float(terms["temporal"].value) == 0


@pytest.mark.parametrize("settings", [{"alpha": -1.0}, {"beta": float("nan")}])
def test_a_weight_that_cannot_be_is_refused(settings):
    with pytest.raises(ObjectiveError, match="must be a finite number ≥ 0"):
        ActivationNorm(of=TaskLoss(), **settings)


def test_a_model_that_returns_no_states_is_told_what_to_return():
    made = Views(outputs=(torch.zeros(3, 5, 7),), batches=(LABELS,), shared_rows=3)
    with pytest.raises(ObjectiveError, match=r"needs \.dropped \[batch, time, unit\].*a Tensor"):
        ActivationNorm(of=TaskLoss()).terms(made, tokens)


def test_a_loss_on_whole_rows_is_refused():
    output, counted = drawn(), torch.tensor([True, False, True])

    def on_rows(output, labels):
        found = loss(output, labels)
        return type(found)(found.mean, counted)

    with pytest.raises(ObjectiveError, match=r"items of shape \(3,\)[\s\S]*a loss on every step"):
        ActivationNorm(of=TaskLoss()).terms(once(output), on_rows)
