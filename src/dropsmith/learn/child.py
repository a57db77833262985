"""The score of a plan: children trained under it, and their loss on validation."""

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
    """The run of every child but for its plan and its seed: the test examples are left alone.

    Args:
        task, budget, data, model, limit, precision: as in `Setup`.
        fixed_plan: rules that every child has, before those of the plan that it is scored for.
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
    """Scores a plan: the mean over seeds of a child's least validation loss. Lower is better.

    Every plan has the same seeds, so that plans are compared over the same first weights and order
    of examples; none of these seeds is one that a comparison reports. A plan that was scored
    before keeps its score and costs nothing again. It may be sent to another process or machine.

    The paper scores by validation performance (Pham & Le, 2021), presumably accuracy for
    images. The loss is ours: it moves where accuracy over few examples stands still, and it is
    what everything else here is chosen by.

    Args:
        setup: the run of every child, with the rules that all have; see `child_setup`.
        folder: of records and of unfinished runs that will go on.
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
        # Two workers may be handed one plan: the second waits, and finds the record.
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
    """Hands a child's validation losses on, the children before it among the mean."""

    def __init__(self, trial: TrialContext, epochs: int, earlier: list[float]) -> None:
        self._trial, self._epochs, self._earlier = trial, epochs, list(earlier)
        self._least = inf

    def __call__(self, numbers: Mapping[str, float], /) -> None:
        self._least = min(self._least, validation_loss(numbers))
        step = len(self._earlier) * self._epochs + round(numbers["epoch"])
        self._trial.report(step, fmean([*self._earlier, self._least]))
