"""The score of a plan: the validation loss of models that are trained under it, its children."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from statistics import fmean

from filelock import FileLock

from dropsmith.compare import TUNING_SEED, setup_id, stored_record
from dropsmith.files import keep_trying
from dropsmith.instances import check_type
from dropsmith.objectives import TaskLoss
from dropsmith.pattern_search import TrialContext, TrialPruned
from dropsmith.plans import Plan
from dropsmith.record import Record, validation_loss
from dropsmith.tasks import Budget, Task
from dropsmith.train import Setup, train


def child_setup(
    task: Task,
    budget: Budget,
    *,
    data: str | None = None,
    model: str | None = None,
    limit: int | None = None,
    precision: str = "no",
    fixed_plan: Plan | None = None,
) -> Setup:
    """The setup of every child, without its plan and its seed; test examples are not scored.

    Args:
        task, budget, data, model, limit, precision: as in `Setup`.
        fixed_plan: rules of every child, before those of the proposed plan.
    """
    check_type("task", task, Task, "a task, such as find_task('digits')")
    check_type("fixed_plan", fixed_plan, (Plan, type(None)), "a Plan, or None")
    return Setup(
        task=task.name,
        method="child",
        plan=fixed_plan or Plan(),
        objective=TaskLoss(),
        budget=budget,
        seed=TUNING_SEED,
        data=data,
        model=model,
        limit=limit,
        precision=precision,
        score_test=False,
        data_options=task.data_options,
    )


@dataclass(frozen=True, kw_only=True)
class Child:
    """Scores a plan by the mean over seeds of a child's lowest validation loss; lower is better.

    All plans have the same seeds, and so the same initial weights and order of examples; a
    comparison reports none of these seeds. A plan that was scored before is not trained again. A
    `Child` may be sent to another process or machine.

    The paper (Pham & Le, 2021) scores by validation performance, presumably accuracy for images.
    dropsmith uses the loss, by which it makes all other choices, too: it differs between plans
    whose accuracy on few examples is equal.

    Args:
        setup: the setup of every child, with the fixed rules; see `child_setup`.
        folder: of records and unfinished runs.
        seeds: the number of children of a plan.
    """

    setup: Setup
    folder: Path
    seeds: int = 1

    def __call__(self, plan: Plan, trial: TrialContext) -> float:
        losses: list[float] = []
        for index in range(self.seeds):
            plan_of_child = self.setup.plan + plan
            setup = replace(self.setup, plan=plan_of_child, seed=self.setup.seed + index)
            record = self._record(setup, _Reports(trial, self.setup.budget.epochs, losses))
            losses.append(validation_loss(record.scores))
        return fmean(losses)

    def _record(self, setup: Setup, reports: "_Reports") -> Record:
        run = self.folder / setup_id(setup)
        keep_trying(partial(self.folder.mkdir, parents=True, exist_ok=True), self.folder)
        # Two workers may have the same plan: the second waits, and reads the record.
        with FileLock(run.with_suffix(".lock")):
            return stored_record(setup, self.folder) or self._train(setup, run, reports)

    def _train(self, setup: Setup, run: Path, reports: "_Reports") -> Record:
        try:
            record = train(setup, run, on_evaluation=reports)
        except TrialPruned:
            shutil.rmtree(run, ignore_errors=True)
            raise
        keep_trying(partial(record.save, self.folder), self.folder)
        shutil.rmtree(run, ignore_errors=True)
        return record


class _Reports:
    """Reports a child's validation losses, as means with those of the plan's earlier children."""

    def __init__(self, trial: TrialContext, epochs: int, earlier: list[float]) -> None:
        self._trial, self._epochs, self._earlier = trial, epochs, list(earlier)
        self._least = inf

    def __call__(self, numbers: Mapping[str, float], /) -> None:
        self._least = min(self._least, validation_loss(numbers))
        step = len(self._earlier) * self._epochs + round(numbers["epoch"])
        self._trial.report(step, fmean([*self._earlier, self._least]))
