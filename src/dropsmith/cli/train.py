"""`dropsmith train`: one run and its record."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dropsmith.cli._data_options import print_data, print_unlabelled
from dropsmith.cli._options import (
    Again,
    Allow,
    AsJson,
    BatchContent,
    BatchSize,
    BudgetName,
    DataFolder,
    EqualRule,
    Labels,
    LearningRate,
    Limit,
    MethodName,
    ModelName,
    NoiseFreeKinds,
    Out,
    Patience,
    PlanSource,
    Precision,
    SampleCount,
    Seed,
    Settings,
    StartFrom,
    TaskName,
    Trackers,
    UnlabelledPlace,
    UnlabelledRatio,
)
from dropsmith.cli._output import next_commands, print_json
from dropsmith.cli._recipe import PresetName
from dropsmith.cli._single import (
    FULL,
    METHOD,
    check_setup,
    record_of,
    run_folder_of,
    setup_of_run,
)
from dropsmith.cli._values import allow_modules, kinds, print_precision_note, trackers_of

if TYPE_CHECKING:
    from dropsmith.record import Record
    from dropsmith.tasks import DataOptions


def train(
    task: TaskName,
    with_: MethodName = METHOD,
    settings: Settings = None,
    plan: PlanSource = None,
    start: StartFrom = None,
    seed: Seed = 0,
    budget: BudgetName = FULL,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    batches: BatchContent = "random",
    equal: EqualRule = "views",
    patience: Patience = None,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    limit: Limit = None,
    labels: Labels = None,
    unlabelled: UnlabelledPlace = None,
    unlabelled_ratio: UnlabelledRatio = 1,
    precision: Precision = "no",
    samples: SampleCount = 0,
    samples_without: NoiseFreeKinds = None,
    preset: PresetName = None,
    track: Trackers = None,
    again: Again = False,
    out: Out = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Train one method with one seed, and write its record and its best weights.

    The run equals that of compare, and each uses the records of the other. It runs on one thread,
    so that its numbers are exactly reproducible, and resumes from its last checkpoint after an
    interrupt. The name of a recipe, from `dropsmith recipes`, trains a row of a paper's table.

    Example: dropsmith train digits --with r-drop --set rate=0.3 --set alpha=1

    Example: dropsmith train digits --with r-drop --start runs/digits/ID

    Example: dropsmith train digits --with uda --labels 100

    Example: dropsmith train digits --with r-drop --track tensorboard

    Example: dropsmith train penn-treebank/variational-lstm-medium --data DIR --preset paper
    """
    allow_modules(allow)
    print_precision_note(precision)
    trackers = trackers_of(track)
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
        batches=batches,
        equal=equal,
        patience=patience,
        data=data,
        data_options=data_options,
        model=model,
        limit=limit,
        precision=precision,
        samples=samples,
        without=kinds(samples_without),
        labels=labels,
        unlabelled=unlabelled,
        unlabelled_ratio=unlabelled_ratio,
    )
    task_of_run, examples = check_setup(setup)
    print_data(task_of_run, examples, data, as_json)
    print_unlabelled(examples, as_json)
    folder = run_folder_of(out, task)
    record = record_of(setup, folder, again, trackers)
    print_json(record.to_json()) if as_json else _show(record, folder)
    if record.status != "finished":
        raise typer.Exit(1)


def _show(record: "Record", folder: Path) -> None:
    from dropsmith.report import starting_weights

    if record.status != "finished":
        print(f"the run did not finish: {record.status}")
        return
    for name, value in (record.scores | record.cost).items():
        print(f"{name.replace('_', ' '):>28}  {value:.6g}")
    if origin := starting_weights(record):
        print(f"\nThe run started from {origin}.")
    run = folder / record.id
    print(f"\nThe record: {run}.json")
    print(f"The folder with the model: {run}")
    print("\n".join(next_commands(run)))
