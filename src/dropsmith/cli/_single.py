"""One run of a method, for `train` and `predict`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.cli._recipe import LIST, is_recipe, recipe_setup
from dropsmith.cli._values import (
    budget_of,
    find,
    folder_of,
    numbers,
    plan_at,
    rules_of,
    setting_of,
    start_of,
)
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.plans import Kind
    from dropsmith.record import Record
    from dropsmith.tasks import Data, DataOptions, Task
    from dropsmith.train import Setup


METHOD, FULL = "dropout", "full"
"""The default method and the default budget."""


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
    batches: str = "random",
    equal: str = "views",
    patience: int | None = None,
    labels: int | None = None,
    unlabelled: Path | None = None,
    unlabelled_ratio: int = 1,
) -> "Setup":
    """The setup of a run, equal to that of a comparison with these options."""
    from dataclasses import replace

    from dropsmith.compare import PATIENCE, Design, pick

    task_of_name = find(task, data, model, data_options)
    name = pick([method], task_of_name)[-1]
    length, examples = budget_of(
        task_of_name,
        budget,
        limit,
        data,
        batch_size=batch_size,
        learning_rate=learning_rate,
        batches=batches,
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
        equal=rules_of(equal, patience, several=False)[0],
        patience=patience or PATIENCE,
        labels=labels,
        unlabelled=None if unlabelled is None else str(unlabelled),
        unlabelled_ratio=unlabelled_ratio,
    )
    setup = design.setup(name, setting_of(name, numbers(settings or [])), seed)
    final_plan = setup.plan if plan is None else plan_at(plan)
    return replace(setup, plan=final_plan, samples=samples, samples_without=without)


def setup_of_run(
    task: str,
    method: str,
    *,
    preset: str | None,
    settings: list[str] | None,
    plan: str | None,
    start: Path | None,
    seed: int,
    budget: str,
    batch_size: int | None,
    learning_rate: float | None,
    data: Path | None,
    data_options: "DataOptions | None",
    model: str | None,
    limit: int | None,
    precision: str,
    samples: int = 0,
    without: "tuple[Kind, ...]" = (),
    batches: str = "random",
    equal: str = "views",
    patience: int | None = None,
    labels: int | None = None,
    unlabelled: Path | None = None,
    unlabelled_ratio: int = 1,
) -> "Setup":
    """The setup of the run of a task with a method, or of a recipe.

    Raises:
        TaskError: there is no such task or recipe, or an option fits only the other of the two.
    """
    options = {
        "seed": seed,
        "data": data,
        "data_options": data_options,
        "limit": limit,
        "precision": precision,
        "samples": samples,
        "without": without,
        "plan": plan,
        "start": start,
    }
    if is_recipe(task):
        fixed_options = {
            "--with": method != METHOD,
            "--set": settings,
            "--model": model,
            "--batch-size": batch_size,
            "--learning-rate": learning_rate,
            "--batches": batches != "random",
            "--budget": budget != FULL,
            "--equal": equal != "views",
            "--patience": patience,
            "--labels": labels,
            "--unlabelled": unlabelled,
            "--unlabelled-ratio": unlabelled_ratio != 1,
        }
        return recipe_setup(task, preset, fixed_options=fixed_options, **options)
    if preset is not None:
        raise TaskError(f"--preset belongs to recipes, and {task} is a task\n  {LIST}")
    return setup_of(
        task,
        method,
        settings=settings,
        budget=budget,
        batch_size=batch_size,
        learning_rate=learning_rate,
        batches=batches,
        model=model,
        equal=equal,
        patience=patience,
        labels=labels,
        unlabelled=unlabelled,
        unlabelled_ratio=unlabelled_ratio,
        **options,
    )


def run_folder_of(out: Path | None, task: str) -> Path:
    """The folder for the record of a task's or a recipe's run."""
    return folder_of(out, task.partition("/")[0] if is_recipe(task) else task)


def check_setup(setup: "Setup") -> "tuple[Task, Data]":
    """Read the data, install the plan once and check start weights, so that errors come early.

    Returns the task and its examples.
    """
    from dropsmith.compare import check_plans, full, try_objective
    from dropsmith.train import task_and_data, training_part
    from dropsmith.user_code import is_reference

    task, data = task_and_data(setup)
    trunks = [] if setup.trunk is None else [setup.trunk]
    training_part(setup, task, data)
    check_plans(task, data, [setup.plan], trunks, setup.start)
    if is_reference(full(setup.method)):
        try_objective(setup.method, setup, task, data)
    return task, data


def record_of(
    setup: "Setup", folder: Path, again: bool = False, trackers: Sequence[str] = ()
) -> "Record":
    """The record of a run, which is trained unless its record exists and `again` is false."""
    from dropsmith.cli._progress import runs_bar
    from dropsmith.compare import make_record, run

    make = {"make": partial(make_record, trackers=tuple(trackers))} if trackers else {}
    with runs_bar(f"{setup.task} with {setup.method}", 1) as watch:
        return run([setup], folder, processes=1, watch=watch, again=again, **make)[0]
