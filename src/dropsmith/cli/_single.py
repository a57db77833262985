"""One run of a method, as `train` and `predict` ask for it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.cli._values import budget_of, find, numbers, plan_at, setting_of, start_of

if TYPE_CHECKING:
    from dropsmith.plans import Kind
    from dropsmith.record import Record
    from dropsmith.tasks import Data, DataOptions, Task
    from dropsmith.train import Setup


def setup_of(
    task: str,
    method: str,
    *,
    settings: list[str] | None,
    plan: str | None,
    seed: int,
    budget: str,
    data: Path | None,
    data_options: "DataOptions | None" = None,
    model: str | None,
    limit: int | None,
    precision: str = "no",
    samples: int = 0,
    without: "tuple[Kind, ...]" = (),
    start: Path | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
) -> "Setup":
    """The setup of a run: equal to the one that a comparison with these options makes."""
    from dataclasses import replace

    from dropsmith.compare import Design, pick

    task_of_name = find(task, data, model, data_options)
    name = pick([method], task_of_name)[-1]
    length, examples = budget_of(
        task_of_name, budget, limit, data, batch_size=batch_size, learning_rate=learning_rate
    )
    design = Design(
        task=task_of_name,
        methods=(name,),
        budget=length,
        data=None if data is None else str(data),
        model=model,
        limit=examples,
        precision=precision,
        samples=samples,
        samples_without=without,
        start=start_of(start),
    )
    setup = design.setup(name, setting_of(name, numbers(settings or [])), seed)
    final_plan = setup.plan if plan is None else plan_at(plan)
    return replace(setup, plan=final_plan, samples=samples, samples_without=without)


def check_setup(setup: "Setup") -> "tuple[Task, Data]":
    """Read the data and put the plan on the model once, so that what cannot be is said at once.

    So are the weights that the run begins from. Returned are the task and its examples.
    """
    from dropsmith.compare import check_plans, full, try_objective
    from dropsmith.train import task_and_data
    from dropsmith.user_code import is_reference

    task, data = task_and_data(setup)
    trunks = [] if setup.trunk is None else [setup.trunk]
    check_plans(task, data, [setup.plan], trunks, setup.start)
    if is_reference(full(setup.method)):
        try_objective(setup.method, setup, task, data)
    return task, data


def record_of(
    setup: "Setup", folder: Path, again: bool = False, trackers: Sequence[str] = ()
) -> "Record":
    """The record of a run, made now if it is not there yet, or if it is to be made again."""
    from dropsmith.cli._progress import runs_bar
    from dropsmith.compare import make_record, run

    make = {"make": partial(make_record, trackers=tuple(trackers))} if trackers else {}
    with runs_bar(f"{setup.task} with {setup.method}", 1) as watch:
        return run([setup], folder, processes=1, watch=watch, again=again, **make)[0]
