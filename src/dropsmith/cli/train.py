"""`dropsmith train`: one run, one record."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dropsmith.cli._options import (
    AsJson,
    Averaged,
    BudgetName,
    DataFolder,
    Limit,
    MethodName,
    ModelName,
    Out,
    PlanFile,
    Seed,
    Settings,
    TaskName,
    folder_of,
)
from dropsmith.cli._single import record_of, setup_of

if TYPE_CHECKING:
    from dropsmith.record import Record


def train(
    task: TaskName,
    with_: MethodName = "dropout",
    settings: Settings = None,
    plan: PlanFile = None,
    seed: Seed = 0,
    budget: BudgetName = "full",
    data: DataFolder = None,
    model: ModelName = None,
    limit: Limit = None,
    samples: Averaged = 0,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Train one method with one seed, and write its record and its best weights.

    The run is the one that compare would make: either uses the other's records. It runs on one
    thread, so that its numbers come back to the bit; stopped, it goes on from its last checkpoint.

    Example: dropsmith train digits --with r-drop --set rate=0.3 --set alpha=1
    """
    setup = setup_of(
        task,
        with_,
        settings=settings,
        plan=plan,
        seed=seed,
        budget=budget,
        data=data,
        model=model,
        limit=limit,
        samples=samples,
    )
    folder = folder_of(out, task)
    record = record_of(setup, folder)
    print(json.dumps(record.to_json(), indent=1)) if as_json else _show(record, folder)
    if record.status != "finished":
        raise typer.Exit(1)


def _show(record: "Record", folder: Path) -> None:
    from dropsmith.train import WEIGHTS

    for name, value in (record.scores | record.cost).items():
        print(f"{name.replace('_', ' '):>28}  {value:.6g}")
    print(f"\nThe record: {folder / record.id}.json")
    print(f"The weights: {folder / record.id / WEIGHTS}")
