"""`dropsmith predict`: how sure a trained model is, over the test set."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._options import (
    Again,
    Allow,
    AsJson,
    BatchSize,
    BudgetName,
    DataFolder,
    LearningRate,
    Limit,
    MethodName,
    ModelName,
    Out,
    PlanSource,
    Precision,
    Seed,
    Settings,
    StartFrom,
    TaskName,
)
from dropsmith.cli._output import console
from dropsmith.cli._single import check_setup, record_of, setup_of
from dropsmith.cli._uncertainty import check_items, uncertainty
from dropsmith.cli._values import allow_modules, folder_of

if TYPE_CHECKING:
    from dropsmith.tasks import DataOptions

Samples = Annotated[
    int, typer.Option("--samples", min=2, help="The number of noisy passes that are averaged.")
]


def predict(
    task: TaskName,
    with_: MethodName = "dropout",
    settings: Settings = None,
    plan: PlanSource = None,
    start: StartFrom = None,
    samples: Samples = 50,
    seed: Seed = 0,
    budget: BudgetName = "full",
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    limit: Limit = None,
    precision: Precision = "no",
    again: Again = False,
    out: Out = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Predict the test set by averaging noisy passes, and say how unsure the model is.

    The model is that of the run which train makes with the same options; it is trained first if
    it is not there. Entropy is all that is unsure, in nats; mutual information the part of it on
    which the passes disagree.

    Example: dropsmith predict digits --with dropout --samples 50
    """
    allow_modules(allow)
    setup = setup_of(
        task,
        with_,
        settings=settings,
        plan=plan,
        seed=seed,
        budget=budget,
        batch_size=batch_size,
        learning_rate=learning_rate,
        data=data,
        data_options=data_options,
        model=model,
        limit=limit,
        precision=precision,
        start=start,
    )
    check_setup(setup)
    check_items(setup)
    folder = folder_of(out, task)
    record = record_of(setup, folder, again)
    if record.status != "finished":
        print(f"the run did not finish: {record.status}")
        raise typer.Exit(1)
    summary = uncertainty(setup, record, folder, samples)
    print(json.dumps(summary, indent=1)) if as_json else _show(summary)


def _show(summary: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    output = console()
    scores = Table("", "accuracy", "NLL", "calibration error", box=box.SIMPLE_HEAD)
    for key, name in (
        ("one_pass_without_noise", "one pass, noise off"),
        ("mean_of_samples", f"mean of {summary['samples']} samples"),
    ):
        row = summary[key]
        scores.add_row(
            name,
            f"{100 * row['accuracy']:.2f} %",
            f"{row['nll']:.4f}",
            f"{row['calibration_error']:.4f}",
        )
    output.print(scores)
    doubt = Table("in nats", "all", "where right", "where wrong", box=box.SIMPLE_HEAD)
    for key in ("entropy", "mutual_information"):
        cells = ("–" if value is None else f"{value:.4f}" for value in summary[key].values())
        doubt.add_row(key.replace("_", " "), *cells)
    output.print(doubt)
    output.print("The items its samples disagree on most:")
    for item in summary["least_sure"]:
        output.print(
            f"  test item {item['item']}: label {item['label']}, predicted {item['predicted']} "
            f"with probability {item['probability']:.2f}, "
            f"mutual information {item['mutual_information']:.3f}"
        )
