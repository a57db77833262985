"""The budget rules of a comparison: what all methods have equally much of."""

from dataclasses import replace
from math import isnan, nan
from typing import Literal, get_args

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.numbers import check_whole
from dropsmith.record import Record, validation_loss
from dropsmith.tasks import Budget, learning_rates

Rule = Literal["views", "updates", "converged"]
"""`views`: equally many example-views, so a method of two views makes half as many steps.
`updates`: equally many steps on as many examples, so it costs twice as much. `converged`: each run
goes on until validation has stopped improving."""

RULES: tuple[Rule, ...] = get_args(Rule)

RECIPES = "recipes"
"""Stands for a rule where each row has the budget of its recipe."""

PATIENCE = 6
"""The evaluations without a better validation loss after which a run has converged."""

CEILING = 10
"""A run that does not converge ends after this many times the budget's epochs."""

_FOR_ANY_LENGTH = (
    learning_rates.Constant,
    learning_rates.Staircase,
    learning_rates.Plateau,
    learning_rates.UntilWorse,
)


def check_rule(rule: object, patience: object) -> None:
    """Raise `TaskError` unless this is a rule, and a patience that it has."""
    if rule not in RULES:
        raise TaskError(
            f"no budget rule is called {excerpt(rule)}\n  the rules are: {', '.join(RULES)}"
            + did_you_mean(rule, RULES)
        )
    check_whole("patience", patience, 1, TaskError)


def reached_ceiling(record: Record) -> bool:
    """True if a run to convergence ended with the epochs of its budget, before it had converged.

    Its last evaluations without a better validation loss are then fewer than its patience.
    """
    budget, curve = record.config["budget"], record.curve
    patience = budget.get("patience")
    if record.status != "finished" or patience is None or not curve:
        return False
    best, worse = nan, 0
    for loss in map(validation_loss, curve):
        better = isnan(best) or loss < best
        best, worse = (loss, 0) if better else (best, worse + 1)
    return worse < patience and curve[-1]["epoch"] >= budget["epochs"]


def budget_by_rule(budget: Budget, rule: Rule, views: int, patience: int = PATIENCE) -> Budget:
    """The budget that a method's run has under a rule.

    A method of one view has the same run under `views` and `updates`, and so the same record.
    A run to convergence has `CEILING` times the epochs at most, and ends after `patience`
    evaluations in a row without a better validation loss. A schedule that spans the whole run, such
    as a cosine, says nothing about a run of unknown length: the rate is halved after half of that
    patience instead, from the best weights.

    >>> budget = Budget(epochs=2, batch_size=8, learning_rate=0.1)
    >>> [budget_by_rule(budget, "updates", views).equal for views in (1, 2)]
    ['views', 'updates']
    >>> budget_by_rule(budget, "converged", 1).epochs
    20

    Args:
        budget: the task's, or the method's own.
        rule: of the comparison.
        views: the most views of a step of the method.
        patience: of a run to convergence, in evaluations.
    """
    if rule == "views":
        return budget
    equal = "views" if views == 1 else "updates"
    if rule == "updates":
        return replace(budget, equal=equal)
    schedule = budget.schedule
    if not isinstance(schedule, _FOR_ANY_LENGTH):
        schedule = learning_rates.Plateau(factor=2, patience=max(1, patience // 2))
    return replace(
        budget,
        equal=equal,
        epochs=CEILING * budget.epochs,
        patience=patience,
        schedule=schedule,
    )
