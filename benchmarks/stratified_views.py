"""Whether stratified masks of two training views lower the variance of the gradient.

The weights of a trained model are held still. The gradient of an objective is taken many times
with other masks: over one batch, so that the masks alone make its variance, and over other batches,
as in training. Each is taken with independent views and with views whose masks are stratified.

`python -m benchmarks.stratified_views --data DIR [--smoke]`, from the root of the repository. The
folder holds `nlu/sst2`; a model whose data is not there is left out.
"""

import argparse
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks._harness import ROOT
from benchmarks._results import environment_of
from benchmarks._uncertain_models import PROBLEMS, input_of
from torch import Tensor, nn

from dropsmith.files import write_text
from dropsmith.noise import find_noise
from dropsmith.objectives import Objective, RDrop, TwoSample, losses
from dropsmith.passes import ViewRequest, make_views
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule, select
from dropsmith.tasks import Split, find_task

RATES = (0.1, 0.3, 0.5)
OBJECTIVES: dict[str, Objective] = {"two-sample": TwoSample(), "R-Drop": RDrop(alpha=1)}
ROWS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model to take gradients of.

    Args:
        name: of its rows.
        model: with dropout, not trained.
        train: what it is trained on.
    """

    name: str
    model: nn.Module
    train: Split


def digits(layers: int) -> Subject:
    """A fully connected model of handwritten digits, with dropout after each hidden layer."""
    part = find_task("digits").load().train
    columns = part.rows(slice(None))
    columns["image"] = columns["image"].flatten(1)
    widths = [columns["image"].shape[1], *[128] * layers]
    hidden = [
        module
        for before, after in itertools.pairwise(widths)
        for module in (nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.3))
    ]
    name = f"digits, {layers} noisy layer" + "s" * (layers > 1)
    model = nn.Sequential(*hidden, nn.Linear(128, 10))
    return Subject(name=name, model=model, train=Split(columns))


def sentences(home: Path) -> Subject:
    """The small convolutional model of texts, with one noisy layer."""
    problem = next(problem for problem in PROBLEMS if problem.task == "sst2")
    data = problem.load(home)
    model = problem.model(data.words, data.classes)
    return Subject(name="SST-2, 1 noisy layer", model=model, train=data.train)


def train(subject: Subject, steps: int) -> None:
    """Ordinary steps of Adam."""
    optimizer = torch.optim.Adam(subject.model.train().parameters(), 2e-3)
    for step in range(steps):
        batch = subject.train.rows(_rows(subject, step))
        optimizer.zero_grad()
        F.cross_entropy(subject.model(input_of(batch)), batch["labels"]).backward()
        optimizer.step()


def _rows(subject: Subject, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randint(len(subject.train), (ROWS,), generator=generator)


def gradients(
    subject: Subject,
    objective: Objective,
    rate: float,
    strata: int,
    *,
    repetitions: int,
    vary: bool,
) -> tuple[float, float, float]:
    """The variance of the gradient, summed over weights; its squared norm; the mean loss.

    Args:
        subject, objective: that it is of.
        rate: of every dropout.
        strata: of the views: 2, or 0 for independent ones.
        repetitions: how many gradients.
        vary: whether each is of another batch.
    """
    model, parameters = subject.model, list(subject.model.parameters())
    batch = subject.train.rows(_rows(subject, 0))
    plan = Plan(rule(select(kind="dropout"), Bernoulli(rate=rate)))
    mean = squares = torch.zeros(())
    loss_sum = 0.0
    with plan.installed(model, input_of(batch)):
        noise = find_noise(model)
        assert noise is not None
        for step in range(1, repetitions + 1):
            batch = subject.train.rows(_rows(subject, step if vary else 0))
            noise.begin(True)
            request = ViewRequest(views=2, strata=strata, report=False)
            labels = batch["labels"]
            pair = make_views(model, request, input_of(batch), noise)
            terms = objective.terms(pair, lambda output, _: losses.classification(output, labels))  # noqa: B023
            loss = objective.total(terms, step)
            flat = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]).double()
            loss_sum += float(loss.detach())
            away = flat - mean
            mean = mean + away / step
            squares = squares + away * (flat - mean)
    variance = float(squares.sum()) / (repetitions - 1)
    return variance, float(mean.square().sum()), loss_sum / repetitions


def rows_of(subject: Subject, repetitions: int) -> list[dict[str, Any]]:
    """The variances of one model, for each objective and rate."""
    rows: list[dict[str, Any]] = []
    for name, objective in OBJECTIVES.items():
        for rate in RATES:
            row: dict[str, Any] = {"model": subject.name, "objective": name, "rate": rate}
            for vary, of in ((False, "one batch"), (True, "other batches")):
                for strata, draws in ((0, "independent"), (2, "stratified")):
                    variance, norm, loss = gradients(
                        subject, objective, rate, strata, repetitions=repetitions, vary=vary
                    )
                    row[f"{of}, {draws}"] = {"variance": variance, "norm": norm, "loss": loss}
            rows.append(row)
            shares = ", ".join(
                f"{of} {_ratio(row, of):.2f}" for of in ("one batch", "other batches")
            )
            print(f"{subject.name}, {name}, rate {rate}: variance as a ratio: {shares}", flush=True)
    return rows


def _ratio(row: dict[str, Any], of: str) -> float:
    return row[f"{of}, stratified"]["variance"] / row[f"{of}, independent"]["variance"]


def main(arguments: Iterable[str] | None = None) -> None:
    """Train each model, take the gradients, and write what came out."""
    options = _parser().parse_args(None if arguments is None else list(arguments))
    torch.set_num_threads(1)
    seeds, repetitions = (1, 10) if options.smoke else (options.seeds, options.repetitions)
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        subjects = [digits(1)] if options.smoke else [digits(1), digits(3)]
        if (options.data / "nlu" / "sst2").exists() and not options.smoke:
            subjects.append(sentences(options.data))
        for subject in subjects:
            train(subject, 10 if options.smoke else 150)
            rows += [row | {"seed": seed} for row in rows_of(subject, repetitions)]
    options.out.mkdir(parents=True, exist_ok=True)
    values = {
        "format": "dropsmith.stratified-views",
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "repetitions": repetitions,
        "rows": rows,
        "environment": environment_of(torch.device("cpu")),
    }
    path = options.out / f"stratified_views_cpu_{datetime.now(UTC):%Y-%m-%d}.json"
    write_text(path, json.dumps(values, indent=1) + "\n")
    print(f"written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stratified_views")
    parser.add_argument("--data", type=Path, default=Path("."), help="folder of the data sets")
    parser.add_argument("--repetitions", type=int, default=150, help="gradients of each kind")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each model")
    parser.add_argument(
        "--smoke", action="store_true", help="one model, ten gradients of each kind"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "benchmarks")
    return parser


if __name__ == "__main__":
    main()
