"""`dropsmith predict`: predictions with uncertainty, for new examples or the test set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._new_rows import (
    NewRows,
    is_finished_run,
    predict_new,
    refuse_training_options,
    source_of,
)
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
    PlanSource,
    Precision,
    Seed,
    Settings,
    StartFrom,
)
from dropsmith.cli._output import console, print_json
from dropsmith.cli._recipe import PresetName
from dropsmith.cli._samples import Samples, Tolerance, sample_count, samples_in_words
from dropsmith.cli._single import (
    FULL,
    METHOD,
    check_setup,
    record_of,
    run_folder_of,
    setup_of_run,
)
from dropsmith.cli._uncertainty import check_items, uncertainty
from dropsmith.cli._values import allow_modules, print_precision_note
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.tasks import DataOptions

RunOrTask = Annotated[
    str,
    typer.Argument(
        metavar="RUN|TASK",
        help="The folder of a finished run, runs/TASK/ID, or its record, or one on the Hub, "
        "hf://USER/REPO; or a task, as train takes it.",
    ),
]
NewExamples = Annotated[
    str | None,
    typer.Argument(
        metavar="NEW",
        help="After the folder of a finished RUN: its new examples, as a table, a picture, a "
        "folder of pictures, or - for lines of JSON on standard input.",
    ),
]
PredictionsOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE|DIR",
        help="Of a RUN: the file for predictions, .csv, .tsv, .jsonl or .parquet; standard output "
        "by default. Of a TASK: the folder for records, runs/TASK by default.",
    ),
]
PageOut = Annotated[
    Path | None,
    typer.Option(
        "--page",
        metavar="FILE",
        help="The file for an HTML page on how good and how sure the predictions are, where inputs "
        "have labels. Of a RUN it is beside --out by default; of a TASK in the folder of its run.",
    ),
]


def predict(
    task: RunOrTask,
    new: NewExamples = None,
    with_: MethodName = METHOD,
    settings: Settings = None,
    plan: PlanSource = None,
    start: StartFrom = None,
    samples: Samples = "50",
    tolerance: Tolerance = None,
    seed: Seed = 0,
    budget: BudgetName = FULL,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    limit: Limit = None,
    precision: Precision = "no",
    preset: PresetName = None,
    again: Again = False,
    out: PredictionsOut = None,
    page: PageOut = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Predict by averaging noisy passes, with the uncertainty of each prediction.

    With the folder of a finished run and new examples: one row for each example with its
    prediction, its probabilities and their uncertainty; scores too if the examples have labels.
    With a task: the test set, by the run that train makes with the same options, which is trained
    first if it does not exist.

    With --samples auto, passes are drawn, batch by batch, until the mean is precise enough; the
    number of passes is printed.

    Entropy is the total uncertainty in nats; mutual information is the part of it that comes from
    disagreement between the passes.

    Example: dropsmith predict runs/reviews.csv/ID new.csv --out predictions.csv

    Example: dropsmith predict hf://USER/REPO new.csv --out predictions.csv

    Example: dropsmith predict digits --with dropout --samples 50
    """
    allow_modules(allow)
    print_precision_note(precision)
    count = sample_count(samples, tolerance)
    if new is not None or is_finished_run(task):
        refuse_training_options(
            {
                "--with": with_ != METHOD,
                "--set": settings,
                "--plan": plan,
                "--start": start,
                "--budget": budget != FULL,
                "--learning-rate": learning_rate,
                "--data": data,
                "--limit": limit is not None,
                "--precision": precision != "no",
                "--again": again,
            }
        )
        predict_new(
            NewRows(
                run=task,
                source=source_of(task, new),
                out=out,
                page=page,
                samples=count,
                tolerance=tolerance,
                seed=seed,
                batch_size=batch_size,
                model=model,
                data_options=data_options,
                as_json=as_json,
            )
        )
        return
    if count != "auto" and count < 2:
        raise TaskError(
            f"--samples {count}: the samples of a test set show no spread\n  give at least 2"
        )
    setup = setup_of_run(
        task,
        with_,
        preset=preset,
        settings=settings,
        plan=plan,
        start=start,
        seed=seed,
        budget=budget,
        batch_size=batch_size,
        learning_rate=learning_rate,
        data=data,
        data_options=data_options,
        model=model,
        limit=limit,
        precision=precision,
    )
    check_setup(setup)
    check_items(setup, task)
    folder = run_folder_of(out, task)
    record = record_of(setup, folder, again)
    if record.status != "finished":
        print(f"the run did not finish: {record.status}")
        raise typer.Exit(1)
    summary = uncertainty(setup, record, folder, count, page, tolerance)
    print_json(summary) if as_json else _show(summary)


def _show(summary: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    output = console()
    scores = Table("", "accuracy", "NLL", "calibration error", box=box.SIMPLE_HEAD)
    for key, name in (
        ("one_pass_without_noise", "one pass, noise off"),
        ("mean_of_samples", f"mean of {samples_in_words(summary['samples_by_batch'])} samples"),
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
    output.print("The items with the most disagreement between samples:")
    for item in summary["least_sure"]:
        output.print(
            f"  test item {item['item']}: label {item['label']}, predicted {item['predicted']} "
            f"with probability {item['probability']:.2f}, "
            f"mutual information {item['mutual_information']:.3f}"
        )
    output.print(f"How good and how sure they are: {summary['page']}", soft_wrap=True)
