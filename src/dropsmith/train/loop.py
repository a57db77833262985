"""The training loop: one run from its setup to its record.

A run is a function of its setup and data: the order of examples, the initial weights and all noise
depend on the seed and the step. So a run that was killed resumes from its last checkpoint and ends
with the same weights, bit for bit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dropsmith.errors import CheckpointError, TrainingError
from dropsmith.record import Record, config_id
from dropsmith.run_folder import RECORD, read_record
from dropsmith.tasks import (
    CustomModelTask,
    Data,
    Task,
    find_task,
    group_by_length,
    in_windows,
    model_hash,
    scored_in_windows,
    with_model,
    with_unlabelled,
)
from dropsmith.train._setup import Setup
from dropsmith.train.checkpoint import FILE, Checkpoint, Saving
from dropsmith.train.code_hash import code_hash
from dropsmith.train.environment import HASHES, flush_subnormals
from dropsmith.train.evaluation import on_device
from dropsmith.train.length import Length
from dropsmith.train.optimisers import optimizer_of
from dropsmith.train.progress import EvaluationListener, Progress, TermsListener
from dropsmith.train.run import Run
from dropsmith.train.state import State
from dropsmith.train.step import Stepper
from dropsmith.train.tracking import Tracker, Tracking
from dropsmith.train.training_part import training_part


def train(
    setup: Setup,
    folder: Path,
    *,
    resume: bool = True,
    progress: Progress | None = None,
    saving: Saving | None = None,
    on_evaluation: EvaluationListener | None = None,
    on_terms: TermsListener | None = None,
    trackers: Sequence[Tracker] = (),
) -> Record:
    """Train one run and return its record, which is also in `folder` with the best weights.

    The validation examples are scored after every epoch of example-views. The weights with the
    lowest validation loss are kept, and scored once on the test examples at the end if the setup
    says so. Start weights are scored before the first step, as row 0 of the curve.

    Args:
        setup: the settings of the run.
        folder: for the checkpoint, and at the end for the files that `dropsmith.load` reads: the
            record (`record.json`), the weights and the description of the model. A run that does
            not score the test examples leaves its weights and its record (`<id>.json`).
        resume: continue from the checkpoint in `folder`, or return the record of a finished run.
        progress: is called with the finished share of the steps.
        saving: when to write checkpoints; every 20 seconds where None.
        on_evaluation: is called with the curve's row after each evaluation of this call.
        on_terms: is called with the means of the loss's terms after each step.
        trackers: names such as `tensorboard`, or trackers of Accelerate. They log the
            configuration, the rows of the curve and the final scores, and are no part of the run.

    Raises:
        TrainingError: the loss or its gradient is not finite. The error names the step, and the
            batch is saved in `folder`.
        CheckpointError: the checkpoint or record in `folder` is of another run or model, or on
            other data.
        TaskError, DataError: the setup names something that does not exist, or has start weights
            of another model.
        TrackerError: a tracker does not exist, is not installed or does not start.
    """
    task, data = task_and_data(setup)
    identity = {"config": setup.to_json(), "data_sha256": data.sha256}
    model_sha256 = (
        task.sha256  # of the model by which the data was read
        if isinstance(task, CustomModelTask)
        else model_hash(setup.model, data)
    )
    if data.unlabelled_sha256 is not None:
        identity["unlabelled_sha256"] = data.unlabelled_sha256
    if model_sha256 is not None:
        identity["model_sha256"] = model_sha256
    if (code_sha256 := code_hash(setup)) is not None:
        identity["code_sha256"] = code_sha256
    if resume and (record := _finished_record(folder, identity)) is not None:
        return record
    if not resume:
        (folder / FILE).unlink(missing_ok=True)
    with _run_at_start(setup, task, data, folder, identity) as run:
        if checkpoint := Checkpoint.load(folder, identity):
            run.resume(checkpoint)
        is_resumed = checkpoint is not None
        with Tracking(trackers, setup, folder, on_evaluation, is_resumed=is_resumed) as tracking:
            record = run.complete(
                progress or _silent, saving or Saving(), tracking, on_terms or _silent
            )
            tracking.log_final(record.scores, run.state.step)
        return record


def task_and_data(setup: Setup) -> tuple[Task, Data]:
    """The task of a setup, with the setup's model, and its data."""
    path = Path(setup.data) if setup.data is not None else None
    task = find_task(setup.task, path, setup.data_options)
    if setup.model is not None:
        task = with_model(task, setup.model, task.load(path, setup.limit_of_data))
    data = task.load(path, setup.limit_of_data)
    train = data.train.concatenate(data.validation) if setup.whole else data.train
    if setup.budget.batches == "length":
        train = group_by_length(train)
    window = setup.budget.window
    data = replace(
        data,
        train=in_windows(train, window, setup.budget.varying),
        validation=scored_in_windows(data.validation, window),
        test=scored_in_windows(data.test, window),
    )
    if setup.has_unlabelled:
        data = with_unlabelled(task, data, setup.labels, setup.unlabelled)
    return task, data


def steps_of(setup: Setup) -> int:
    """The number of steps of a run, which depends on its examples, budget and views."""
    task, data = task_and_data(setup)
    train = training_part(setup, task, data)
    return Length.of(setup.budget, setup.objective, train, setup.seed).steps


def _silent(value: Any, /) -> None: ...


def _finished_record(folder: Path, identity: dict[str, Any]) -> Record | None:
    """The record of an earlier, finished run of this setup; None without one."""
    stored = _stored_record(folder, config_id(identity["config"]))
    if stored is None:
        return None
    path, record = stored
    for name, difference in HASHES.items():
        if record.environment.get(name) != identity.get(name):
            raise CheckpointError(
                f"the run in {path} was made {difference}: its hash differs\n"
                "  to make it again: train(..., resume=False)"
            )
    return record


def _stored_record(folder: Path, record_id: str) -> tuple[Path, Record] | None:
    """The record in a run's folder and its path, under either of its two names."""
    if (path := folder / RECORD).exists():
        record = read_record(folder)
        if record.id == record_id:
            return path, record
    path = folder / f"{record_id}.json"
    return (path, Record.load(path)) if path.exists() else None


@contextmanager
def _run_at_start(
    setup: Setup, task: Task, data: Data, folder: Path, identity: dict[str, Any]
) -> Iterator[Run]:
    """The run at step 0; afterwards torch's generators and settings are as before."""
    accelerator = _accelerator()
    device = accelerator.device
    generators = torch.random.fork_rng(
        [torch.cuda.current_device()] if device.type == "cuda" else []
    )
    with (
        generators,
        flush_subnormals(),
        torch.backends.cudnn.flags(enabled=True, deterministic=True),
    ):
        torch.manual_seed(setup.seed)
        model = task.model(data)
        if setup.start is not None:
            setup.start.load_into(model, data)
        model = model.to(device).train()
        example = on_device(data.train.rows(slice(0, 2)), device)
        train = training_part(setup, task, data)
        with setup.plan.installed(model, example, seed=setup.seed):
            yield Run(
                identity=identity,
                stepper=Stepper(setup, task, train, accelerator),
                data=data,
                folder=folder,
                length=Length.of(setup.budget, setup.objective, train, setup.seed),
                state=State(model, optimizer_of(model, setup.budget)),
            )


def _accelerator() -> Any:
    from accelerate import Accelerator

    try:
        # Accelerate has one precision for a process; here each run sets its own, so that runs
        # of different precisions may share a process.
        accelerator = Accelerator(mixed_precision="no")
    except ValueError as error:
        raise TrainingError(
            f"this process already uses Accelerate with other settings\n  {error}\n"
            "  train in a process of its own"
        ) from None
    if accelerator.num_processes > 1:
        raise TrainingError(
            f"a run uses one process, but there are {accelerator.num_processes}\n"
            "  runs of different seeds go in parallel: dropsmith compare"
        )
    return accelerator
