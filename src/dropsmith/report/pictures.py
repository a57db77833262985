"""The page's pictures, each with its caption and with words for those who do not see it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.compare import Comparison, metrics
from dropsmith.errors import DataError, DropsmithError
from dropsmith.record import Record
from dropsmith.report.comparison_figures import PANELS, cost_figure, forest_figure
from dropsmith.report.curves import curves_figure, run_curves_figure
from dropsmith.report.figures import svg
from dropsmith.report.html import paragraph, picture
from dropsmith.report.numbers import METRICS
from dropsmith.tasks import NO_OPTIONS, DataOptions
from dropsmith.user_code import imported_object, is_reference

if TYPE_CHECKING:
    from dropsmith.tasks import Data, Task


def forest(comparison: Comparison) -> str:
    """Differences to the baseline."""
    figure = forest_figure(comparison)
    base = comparison.baseline
    return picture(
        svg(figure) if figure else None,
        f"Differences of each method to {base} in {_metric_names(comparison)}, with 95 % intervals."
        " The numbers are in the table above.",
        f"Paired differences to {base}: mean and 95 % interval; a small tick per seed. Diamonds: "
        "the interval leaves zero out.",
    )


def _metric_names(comparison: Comparison) -> str:
    return " and ".join(METRICS[name].label for name in metrics(comparison)[:PANELS])


def curves(comparison: Comparison) -> str:
    """Validation loss by example-views."""
    figure = curves_figure(comparison)
    return picture(
        svg(figure) if figure else None,
        "Validation loss by example-views for each method.",
        "Mean validation loss and its range over seeds, by example-views: all methods have equally "
        "many, so a two-view method makes half as many steps.",
    )


def run_curves(records: Sequence[Record]) -> str:
    """Validation loss of runs of one task that were made one by one."""
    figure = run_curves_figure(records)
    return picture(
        svg(figure) if figure else None,
        "Validation loss by example-views for each run. Their final numbers are in the table.",
        "Validation loss of each run by example-views, one panel a method.",
    )


def costs(comparison: Comparison) -> str:
    """Time and memory of a run."""
    figure = cost_figure(comparison)
    return picture(
        svg(figure) if figure else None,
        "Seconds and peak memory of a run for each method. The numbers are in the first table.",
        "Mean over reported runs, several running at the same time.",
    )


def gallery(
    record: Record,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
) -> str:
    """Drawn masks over real inputs; a sentence where the task's data is not there.

    Args:
        record: a run on the task.
        data: the data of the task, where it does not carry its own.
        model: the name of the one that may be run, beside the task's own.
        data_options: how it is read.
    """
    from dropsmith.report.gallery import gallery_figure
    from dropsmith.report.masks import RATE, mask_examples

    try:
        task, task_data = task_and_data(record, data, model, data_options)
        batch, masks = mask_examples(task, task_data)
    except DropsmithError as error:
        return paragraph(f"Masks are not shown: {error}")
    return picture(
        svg(gallery_figure(batch, masks, task_data.vocabulary)),
        "Grey maps of real examples in which the dropped units are orange: single units, whole "
        "channels, blocks and so on.",
        f"Validation examples inside the task's model before training, each noise at rate {RATE}. "
        "Grey: the values that go on; orange: what was dropped.",
    )


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
        raise DataError("they are drawn over the data, and records hold no path: give --data DIR")
    if config["model"] not in (None, model):
        raise DataError(
            "they are drawn inside a model of your own, which is not run because a record names "
            f"it: give --model {config['model']}"
        )
    task = find_task(str(where) if is_own else config["task"], where, data_options)
    data = task.load(where, config["limit"])
    if config["model"]:
        task = with_model(task, config["model"], data)
        data = task.load(where, config["limit"])
    if record.environment.get("data_sha256") != data.sha256:
        raise DataError(f"the data that the runs were made on is not that of {where or task.name}")
    return task, data
