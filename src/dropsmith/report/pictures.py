"""The page's pictures, each with its caption and with words for those who do not see it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.compare import METHODS, Comparison, clock, find_method, full, metrics
from dropsmith.errors import DataError, DropsmithError
from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.report.budget_words import steps_words
from dropsmith.report.comparison_figures import (
    COSTS,
    PANELS,
    cost_figure,
    forest_figure,
    frontier_figure,
)
from dropsmith.report.curves import (
    Curve,
    comparison_curves,
    curves_figure,
    is_clipped,
    run_curves_figure,
)
from dropsmith.report.curves import run_curves as run_curves_of
from dropsmith.report.html import paragraph
from dropsmith.report.inline_svg import picture
from dropsmith.report.numbers import METRICS
from dropsmith.report.reproduce_command import as_recorded
from dropsmith.tasks import NO_OPTIONS, DataOptions
from dropsmith.train import plan_of
from dropsmith.user_code import imported_object, is_reference

if TYPE_CHECKING:
    from dropsmith.tasks import Data, Task


def forest(comparison: Comparison) -> str:
    """Differences to the baseline."""
    base = comparison.baseline
    return picture(
        "differences",
        partial(forest_figure, comparison),
        f"Differences of each method to {base} in {_metric_names(comparison)}, with 95 % intervals."
        " The numbers are in the table above.",
        f"Differences to {base}, paired by seed: mean and 95 % interval; a tick for each seed. A "
        "coloured diamond is significant after Holm correction (blue: better, orange: worse); a "
        "grey circle is not. Fewer than three seeds have no interval.",
    )


def _metric_names(comparison: Comparison) -> str:
    return " and ".join(METRICS[name].label for name in metrics(comparison)[:PANELS])


def curves(comparison: Comparison) -> str:
    """Validation loss by example-views."""
    by_method = comparison_curves(comparison)
    if not by_method:
        return _no_curves(comparison.records)
    return picture(
        "curves",
        partial(curves_figure, comparison),
        "Validation loss by example-views for each method.",
        "Mean validation loss and its range over seeds, by example-views"
        f"{steps_words(comparison)}. Dashed: {comparison.baseline}."
        + _clipping(list(by_method.values())),
    )


def run_curves(records: Sequence[Record], name: str = "curves") -> str:
    """Validation loss of runs of one task that were made one by one."""
    by_method = run_curves_of(records)
    if not by_method:
        return _no_curves(records)
    return picture(
        name,
        partial(run_curves_figure, records),
        "Validation loss by example-views for each run. Their final numbers are in the table.",
        "Validation loss of each run by example-views, one panel a method."
        + _clipping([curve for curves in by_method.values() for curve in curves]),
    )


def _no_curves(records: Iterable[Record]) -> str:
    if not any(record.curve for record in records):
        return ""
    return paragraph("There is no curve to draw: every run was evaluated once.")


def _clipping(curves: Sequence[Curve]) -> str:
    if not is_clipped(curves):
        return ""
    return " Values above the upper edge, most of them at the start of a run, are cut off."


def frontier(comparison: Comparison) -> str:
    """The main score of each method against the cost of a run."""
    score, cost = METRICS[metrics(comparison)[0]].label, COSTS[clock(comparison)]
    return picture(
        "frontier",
        partial(frontier_figure, comparison),
        f"Mean {score} of each method against its {cost} of a run. The numbers are in the tables.",
        f"Mean {score} and mean {cost} of a run. Blue: no other method is better at the same cost "
        "or less.",
    )


def costs(comparison: Comparison) -> str:
    """Time and memory of a run."""
    return picture(
        "costs",
        partial(cost_figure, comparison),
        "Seconds and peak memory of a run for each method. The numbers are in the first table.",
        "Mean over reported runs. Runs that were made at the same time slow each other down.",
    )


def gallery(
    record: Record,
    plans: "PlansOf",
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
    name: str = "masks",
) -> str:
    """Drawn masks over real inputs; a sentence where the task's data is not there.

    Args:
        record: a run on the task.
        plans: gives, for the task, the plans that are drawn, by the names of their methods.
        data: the data of the task, where it does not carry its own.
        model: the name of the one that may be run, beside the task's own.
        data_options: how it is read.
        name: of the picture on the page.
    """
    from dropsmith.report.gallery import gallery_figure
    from dropsmith.report.masks import method_mask_examples

    try:
        task, task_data = task_and_data(record, data, model, data_options)
        by_method = plans(task)
        shown = _by_plan(by_method)
        batch, masks = method_mask_examples(task, task_data, shown)
    except DropsmithError as error:
        return paragraph(f"No masks are drawn: {error}")
    if not masks:
        return paragraph("Nothing is dropped that can be drawn.")
    empty = [method for method, plan in by_method.items() if not plan.rules]
    return picture(
        name,
        lambda width: gallery_figure(batch, masks, task_data.vocabulary, width),
        "Grey maps of real examples in which the dropped units are orange, a row for each method.",
        "Validation examples inside the task's model before training: a row for each method, at "
        "its rate and the first place where it drops. Grey: values that are kept; orange: values "
        "set to zero. Gaussian noise sets nothing to zero."
        + (f" Without noise: {', '.join(empty)}." if empty else ""),
    )


def facts_of_data(
    record: Record,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
) -> dict[str, str]:
    """The facts about the data of a run; none if the data is not at hand, as `gallery` says.

    Args:
        record: of a run on the task.
        data, model, data_options: as in `gallery`.
    """
    from dropsmith.tasks import data_facts

    try:
        return data_facts(*task_and_data(record, data, model, data_options))
    except DropsmithError:
        return {}


PlansOf = Callable[["Task"], Mapping[str, Plan]]


def chosen_plans(comparison: Comparison) -> PlansOf:
    """The plan of each method at the setting that was chosen, before any schedule of its rate."""

    def plans(task: "Task") -> dict[str, Plan]:
        return {
            row.method: find_method(row.method).plan(task, row.setting)
            if full(row.method) in METHODS
            else plan_of(row.records[0])
            for row in comparison.rows
        }

    return plans


def run_plans(records: Sequence[Record]) -> PlansOf:
    """The plan of each method of some runs."""
    return lambda task: {str(run.config["method"]): plan_of(run) for run in records}


def _by_plan(plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """The plans that drop something, each once, under the names of all methods that have it."""
    names: dict[Plan, list[str]] = {}
    for name, plan in plans.items():
        if plan.rules:
            names.setdefault(plan, []).append(name)
    return {", ".join(methods): plan for plan, methods in names.items()}


def task_and_data(
    record: Record,
    where: Path | None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
) -> "tuple[Task, Data]":
    """The task and the examples that a record is of; `DataError` where they are not at hand.

    A record names a model of the user's own, and whatever a file names is not run for that: the
    caller has to name it, too.
    """
    from dropsmith.tasks import TASKS, find_task, with_model

    config = record.config
    own_task = is_reference(config["task"])
    if own_task and imported_object(config["task"]) is None:
        module = config["task"].partition(":")[0]
        raise DataError(
            f"they are drawn over the data of your task {config['task']}, whose code is not "
            f"imported because a record names it: give --allow {module}"
        )
    is_own = config["task"] not in TASKS and not own_task
    if where is None and (is_own or record.environment.get("data_given")):
        raise DataError("they need the data, and records hold no path of it: give --data DIR")
    if config["model"] not in (None, model):
        raise DataError(
            "they are drawn inside a model of your own, which is not run because a record names "
            f"it: give --model {config['model']}"
        )
    options = as_recorded(data_options, config)
    task = find_task(str(where) if is_own else config["task"], where, options)
    data = task.load(where, config["limit"])
    if config["model"]:
        task = with_model(task, config["model"], data)
        data = task.load(where, config["limit"])
    if record.environment.get("data_sha256") != data.sha256:
        raise DataError(f"the data that the runs were made on is not that of {where or task.name}")
    return task, data
