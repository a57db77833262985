"""Plans of one small space trained on `digits`, each once, their scores kept as lines of JSON.

A score is the validation log-likelihood of an image (the negative `validation_nll`): of 200 images
the accuracy has too few values to tell plans apart. Test images are left alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, TypeVar

import torch

from dropsmith.errors import TrainingError
from dropsmith.objectives import TaskLoss
from dropsmith.pattern_search import ConvSpace, ConvTokens, Tokens, spaces
from dropsmith.plans import Plan
from dropsmith.record import config_id
from dropsmith.tasks import find_task
from dropsmith.train import Setup, train
from dropsmith.workers import Done, Tell, spread

_J = TypeVar("_J")

TASK = "digits"

TOKENS = ConvTokens(
    size=(0, 1 / 4, 1 / 2),
    stride=(1 / 4, 1 / 2, 1),
    repeat=("all",),
    rotate=(0,),
    shear_x=(0.0,),
    shear_y=(0.0,),
    share_c=(False,),
)
"""Three sizes, three strides and four ways to draw for each of two maps: 1 296 points, many of
which are one plan: without noise nothing else matters, some sizes and strides drop one share."""

FEW = replace(TOKENS, size=(0, 1 / 2), stride=(1 / 2,), draw=("tiles", "pixels"))
"""Sixteen points, to try a script with."""


def space(tokens: ConvTokens) -> ConvSpace:
    """The space of the task's own model."""
    data = find_task(TASK).load()
    images = data.train.tensors()["image"][:2]
    return spaces.conv(find_task(TASK).model(data), images, tokens=tokens)


@dataclass(frozen=True)
class Job:
    """One plan, one seed, and for how long."""

    plan: Plan
    seed: int
    epochs: int | None = None

    @property
    def setup(self) -> Setup:
        """The run it stands for."""
        budget = find_task(TASK).budget
        return Setup(
            task=TASK,
            method="plan",
            plan=self.plan,
            objective=TaskLoss(),
            budget=budget if self.epochs is None else replace(budget, epochs=self.epochs),
            seed=self.seed,
            score_test=False,
        )

    @property
    def id(self) -> str:
        """The id of its run."""
        return config_id(self.setup.to_json())


Row = dict[str, Any]


def trained(
    jobs: Sequence[Job], path: Path, processes: int, say: Callable[[str], None] = print
) -> dict[str, Row]:
    """What each job gave, by id: what is in the file is read, the rest trained and added to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {row["id"]: row for row in whole_lines(path)}
    todo = [job for job in {job.id: job for job in jobs}.values() if job.id not in found]
    say(f"{len(jobs)} runs asked for, {len(todo)} to make")
    with closing(spread(_work, todo, processes)) as events, path.open("a") as file:
        for job, row in done(events, todo, say, every=20):
            file.write(json.dumps(row) + "\n")
            file.flush()
            found[job.id] = row
    return {job.id: found[job.id] for job in jobs}


def table(
    of: ConvSpace, rows: Mapping[str, Row], jobs: Mapping[Tokens, Job]
) -> dict[Tokens, float]:
    """The score of each point of the space whose run has one."""
    scores = {tokens: rows[jobs[tokens].id]["score"] for tokens in of.all_tokens()}
    return {tokens: score for tokens, score in scores.items() if score is not None}


def whole_lines(path: Path) -> Iterator[Row]:
    """The whole lines of a file; half of one, which a killed run may have left, is cut off."""
    if not path.exists():
        return
    text = path.read_text()
    whole, _, half = text.rpartition("\n")
    if half:
        path.write_text(whole + "\n" if whole else "")
    for line in whole.splitlines():
        yield json.loads(line)


def done(
    events: Any, jobs: Sequence[_J], say: Callable[[str], None], every: int
) -> Iterator[tuple[_J, Any]]:
    """Each job that is done and its result; `SystemExit` where the process of one died.

    After `every` so many it says how many there are and how long the rest will take.
    """
    began, count = monotonic(), 0
    for event in events:
        if isinstance(event, Done):
            yield jobs[event.job], event.result
            count += 1
            if count % every == 0:
                left = (monotonic() - began) / count * (len(jobs) - count)
                say(f"{count} of {len(jobs)}, {left / 60:.0f} minutes left")
        elif hasattr(event, "code"):
            raise SystemExit(f"the process of {jobs[event.job]!r} died with {event.code}")


def _work(job: Job, tell: Tell) -> Row:
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        try:
            record = train(job.setup, Path(folder), progress=tell)
            scores, seconds = record.scores, record.cost["seconds"]
        except TrainingError:
            scores, seconds = {}, 0.0
    nll = scores.get("validation_nll")
    return {
        "id": job.id,
        "seed": job.seed,
        "score": None if nll is None else -nll,
        "accuracy": scores.get("validation_accuracy"),
        "seconds": round(seconds, 3),
        "plan": job.plan.to_json()["rules"],
    }
