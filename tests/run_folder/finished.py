"""Finished runs without any training: a model with random weights, written as a run writes it."""

import csv
from pathlib import Path

import torch

from dropsmith.objectives import TaskLoss
from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.run_folder import FinishedRun
from dropsmith.tasks import NO_OPTIONS, DataOptions
from dropsmith.train import Setup, task_and_data

WORDS = ["good", "bad", "film", "plot", "nice", "poor", "the", "a", "so", "very"]


def write_texts(path: Path, *, pairs: bool = False, values: bool = False, rows: int = 80) -> Path:
    """A table of texts of several lengths, each with an id and a label; `path` of the table."""
    names = ["id", "sentence1", "sentence2"] if pairs else ["id", "text"]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*names, "score" if values else "label"])
        for index in range(rows):
            words = [WORDS[(index * step) % 10] for step in range(1, 2 + index % 9)]
            texts = [" ".join([*words, f"n{index}"])] + ([f"m{index} {words[0]}"] if pairs else [])
            label = f"{index % 7 / 2}" if values else ("bright", "dark", "even")[index % 3]
            table.writerow([f"row{index}", *texts, label])
    return path


def finished_run(
    task: str,
    *,
    plan: Plan | None = None,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
) -> tuple[FinishedRun, Setup]:
    """A run of a task, its weights drawn and not trained, and its setup."""
    setup = Setup(
        task=task,
        method="dropout",
        plan=Plan(),
        objective=TaskLoss(),
        budget=task_and_data_of(task, data, model, data_options)[0].budget,
        seed=0,
        data=None if data is None else str(data),
        model=model,
        data_options=data_options,
    )
    task_value, examples = task_and_data(setup)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = task_value.model(examples)
        for parameter in net.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    plan = task_value.plan("dropout", 0.4) if plan is None else plan
    record = Record(
        config=setup.to_json() | {"plan": plan.to_json()},
        environment={"data_sha256": examples.sha256, "data_source": examples.source},
        scores={"validation_nll": 0.5, "test_nll": 0.25, "test_mc_nll": 0.2, "test_accuracy": 1.0},
        cost={"seconds": 1.0},
    )
    run = FinishedRun(
        record=record,
        kind=task_value.kind,
        data=examples,
        plan=plan,
        model=net,
        weights=net.state_dict(),
        noise_step=3,
    )
    return run, setup


def task_and_data_of(task, data, model, data_options):
    from dropsmith.tasks import find_task, with_model

    value = find_task(task, data, data_options)
    return (value if model is None else with_model(value, model, value.load(data))), None
