"""Monte-Carlo dropout against one pass of the same weights, and against ensembles of equal cost.

Each seed trains the four members of an ensemble on the same data; the first is also the model of
the ways that take one model. What "equal cost" means is said apart for training and prediction:
an ensemble of four members costs as much to predict with as four samples and four times as much to
train; its members, each trained for a quarter of the epochs, cost as much to train as one model.

`python -m benchmarks.monte_carlo_dropout --data DIR [--smoke]`, from the root of the repository.
The folder holds `cifar10`, `nlu/sst2`, `sentiment_scale` and `penn_treebank`. It goes on where it
was stopped, with the tasks and seeds that its file of today does not hold.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from benchmarks._harness import ROOT
from benchmarks._results import environment_of
from benchmarks._uncertain_models import PROBLEMS, SMOKE, Examples, Problem, input_of
from torch import Tensor, nn

from dropsmith.files import write_text
from dropsmith.measures import auroc, fit_temperature, reliability, scale_by_temperature
from dropsmith.prediction import predict
from dropsmith.tasks import Split

MEMBERS, SAMPLES = 4, 50
LEVELS = torch.linspace(0.1, 0.9, 9)
LARGE = 0.8
"""A residual above this quantile of all counts as an error."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to predict, with its costs.

    Args:
        name: of the way.
        trainings: how many whole trainings it takes.
        passes: how many forward passes of a prediction.
    """

    name: str
    trainings: float
    passes: int


ONE = Way(name="one pass", trainings=1, passes=1)
SCALED = Way(name="one pass, temperature of held-out labels", trainings=1, passes=1)
FEW = Way(name=f"dropout, {MEMBERS} samples", trainings=1, passes=MEMBERS)
MANY = Way(name=f"dropout, {SAMPLES} samples", trainings=1, passes=SAMPLES)
SHORT = Way(
    name=f"ensemble of {MEMBERS}, each trained for a quarter of the epochs",
    trainings=1,
    passes=MEMBERS,
)
WHOLE = Way(name=f"ensemble of {MEMBERS}", trainings=MEMBERS, passes=MEMBERS)
WAYS = (ONE, SCALED, FEW, MANY, SHORT, WHOLE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a way predicts for some rows.

    Args:
        mean: probabilities or values.
        spread: of values, their variance over the passes.
    """

    mean: Tensor
    spread: Tensor


def of_models(problem: Problem, models: list[nn.Module], part: Split) -> Answer:
    """The mean of one pass of each model."""
    with torch.no_grad():
        outputs = [torch.cat([m(rows) for rows in _batches(part)]) for m in models]
    if problem.kind == "classification":
        outputs = [scores.softmax(-1) for scores in outputs]
    mean = sum(outputs[1:], outputs[0]) / len(outputs)
    squares = sum(((values - mean).square() for values in outputs), torch.zeros(()))
    return Answer(mean=mean, spread=squares / max(len(outputs) - 1, 1))


def of_samples(problem: Problem, model: nn.Module, part: Split, samples: int) -> Answer:
    """The mean of noisy passes of one model."""
    found = [predict(model, rows, samples, kind=problem.kind) for rows in _batches(part)]
    return Answer(
        mean=torch.cat([one.mean for one in found]),
        spread=torch.cat([one.variance for one in found]),
    )


def _batches(part: Split) -> list[Tensor]:
    return [input_of(part.rows(rows)) for rows in torch.arange(len(part)).split(100)]


def judge_classes(answer: Answer, labels: Tensor) -> dict[str, float]:
    """Likelihood, accuracy, calibration, and whether mistakes are less sure."""
    likely, labels = answer.mean.flatten(0, -2), labels.flatten()
    found, wrong = reliability(likely, labels), likely.argmax(-1) != labels
    entropy = torch.special.entr(likely).sum(-1)
    return {
        "nll": found.nll,
        "accuracy": 1 - float(wrong.double().mean()),
        "calibration error": found.error,
        "auroc": auroc(entropy, wrong),
    }


def judge_values(answer: Answer, labels: Tensor, held: Answer, of_held: Tensor) -> dict[str, float]:
    """The same of a normal distribution; the variance of its data is fitted on held-out labels."""
    candidates = torch.logspace(-6, 1, 200)
    noise = min(candidates, key=lambda c: float(_nll(held, of_held, c)))
    deviation = (answer.spread + noise).sqrt()
    normal = torch.distributions.Normal(answer.mean, deviation)
    covered = [
        ((normal.cdf(labels) - 0.5).abs() <= level / 2).double().mean() - level for level in LEVELS
    ]
    residual = (answer.mean - labels).abs()
    return {
        "nll": float(_nll(answer, labels, noise)),
        "rmse": float(residual.square().mean().sqrt()),
        "calibration error": float(torch.stack(covered).abs().mean()),
        "auroc": auroc(deviation, residual > residual.quantile(LARGE)),
    }


def _nll(answer: Answer, labels: Tensor, noise: Tensor) -> Tensor:
    deviation = (answer.spread + noise).sqrt()
    return -torch.distributions.Normal(answer.mean, deviation).log_prob(labels).mean()


def measured(problem: Problem, data: Examples, seed: int) -> dict[str, dict[str, float]]:
    """The measures of every way, by its name."""
    seeds = range(seed * MEMBERS, (seed + 1) * MEMBERS)
    whole = [problem.trained(data, one, problem.epochs) for one in seeds]
    short = [problem.trained(data, one, problem.epochs // MEMBERS) for one in seeds]
    test, held = data.test, data.validation
    labels, of_held = test.columns["labels"], held.columns["labels"]

    def answer(way: Way, part: Split) -> Answer:
        if way in (FEW, MANY):
            return of_samples(problem, whole[0], part, way.passes)
        models = {ONE: whole[:1], SCALED: whole[:1], SHORT: short, WHOLE: whole}[way]
        return of_models(problem, models, part)

    found = {}
    for way in WAYS:
        predicted = answer(way, test)
        if problem.kind == "regression":
            if way is not SCALED:
                judged = judge_values(predicted, labels, answer(way, held), of_held)
                found[way.name] = judged
            continue
        if way is SCALED:
            likely = answer(way, held).mean.flatten(0, -2)
            temperature = fit_temperature(likely, of_held.flatten())
            scaled = scale_by_temperature(predicted.mean.flatten(0, -2), temperature)
            predicted = Answer(mean=scaled, spread=predicted.spread)
        found[way.name] = judge_classes(predicted, labels)
    return found


def main(arguments: Iterable[str] | None = None) -> None:
    """Train, predict and judge, and write what came out after each task and seed."""
    options = _parser().parse_args(None if arguments is None else list(arguments))
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"monte_carlo_dropout_cpu_{datetime.now(UTC):%Y-%m-%d}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    problems = SMOKE if options.smoke else PROBLEMS
    there = [problem for problem in problems if (options.data / problem.folder).exists()]
    for problem in problems:
        if problem not in there:
            print(f"left out, its data is not there: {problem.name}")
    data = {problem.name: problem.load(options.data) for problem in there}
    for seed in range(1 if options.smoke else options.seeds):
        for problem in there:
            if any((row["task"], row["seed"]) == (problem.name, seed) for row in rows):
                continue
            ways = measured(problem, data[problem.name], seed)
            rows.append({"task": problem.name, "seed": seed, "ways": ways})
            _write(path, rows)
            for way, values in ways.items():
                said = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
                print(f"{problem.name}, seed {seed}, {way}: {said}", flush=True)
    print(f"written: {path}")


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    values = {
        "format": "dropsmith.monte-carlo-dropout",
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "ways": {way.name: {"trainings": way.trainings, "passes": way.passes} for way in WAYS},
        "rows": rows,
        "environment": environment_of(torch.device("cpu")),
    }
    write_text(path, json.dumps(values, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monte_carlo_dropout")
    parser.add_argument("--data", type=Path, default=Path("."), help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=5, help="of each task")
    parser.add_argument("--smoke", action="store_true", help="few rows, one seed")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "benchmarks")
    return parser


if __name__ == "__main__":
    main()
