"""How many stratified samples have the error of 50 independent ones, on trained models.

Both means are unbiased, so the mean squared error of either is its variance over repetitions with
other seeds: no reference of many samples is needed. Each model is tried under noise at one site,
the last of its plan, and under the whole plan.

`python -m benchmarks.stratified_samples --data DIR [--encoder DIR] [--smoke]`, from the root of
the repository. The folder holds `cifar10`, `nlu/sst2`, `penn_treebank` and `sentiment_scale`; a
model whose data is not there is left out, and a line says so.
"""

import argparse
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from benchmarks._harness import ROOT
from benchmarks._results import environment_of
from torch import Tensor, nn

from dropsmith.compare import Design, find_method
from dropsmith.files import write_text
from dropsmith.noise import install, remove
from dropsmith.plans import Plan, rule
from dropsmith.prediction import predict
from dropsmith.prediction.draws import Draws
from dropsmith.run_folder import WEIGHTS, load_weights
from dropsmith.tasks import Task, find_task, with_model
from dropsmith.train import Setup, train

INDEPENDENT = 50
STRATIFIED = (5, 8, 13, 20, 32, 50)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model to train and to predict with.

    Args:
        name: of the row.
        task, method, data: as on the command line.
        epochs, limit: of its training.
        rows: examples that are predicted.
        encoder: whether the model is the pretrained one.
    """

    name: str
    task: str
    method: str
    data: str | None
    epochs: int
    limit: int | None
    rows: int = 32
    encoder: bool = False

    def place(self, home: Path) -> str | None:
        """Where its data lies."""
        return None if self.data is None else str(home / self.data)

    def setup(self, home: Path, encoder: Path | None) -> tuple[Task, Setup]:
        """Its task and run."""
        task, place = find_task(self.task), self.place(home)
        if self.encoder:
            task = with_model(task, str(encoder), task.load(Path(cast(str, place))))
        budget = replace(task.budget, epochs=self.epochs)
        design = Design(
            task=task,
            methods=(self.method,),
            budget=budget,
            data=place,
            model=str(encoder) if self.encoder else None,
            limit=self.limit,
        )
        return task, design.setup(self.method, find_method(self.method).settings[0], 0)

    def model(self, home: Path, encoder: Path | None) -> tuple[nn.Module, dict[str, Tensor], Setup]:
        """The trained model, a batch of test examples and the run."""
        task, setup = self.setup(home, encoder)
        data = task.load(None if setup.data is None else Path(setup.data), setup.limit)
        with TemporaryDirectory() as folder:
            train(setup, Path(folder))
            model = task.model(data)
            load_weights(model, Path(folder) / WEIGHTS)
        return model.eval(), data.test.rows(slice(0, self.rows)), setup


MODELS = (
    Trained(
        name="digits, convolutions", task="digits", method="dropout", data=None, epochs=10,
        limit=None,
    ),
    Trained(
        name="CIFAR-10, convolutions", task="cifar10", method="dropout", data="cifar10", epochs=4,
        limit=4000,
    ),
    Trained(
        name="SST-2, all-MiniLM-L6-v2", task="sst2", method="dropout", data="nlu/sst2", epochs=1,
        limit=512, rows=16, encoder=True,
    ),
    Trained(
        name="Penn Treebank, variational LSTM", task="penn-treebank", method="variational",
        data="penn_treebank", epochs=1, limit=60_000, rows=4,
    ),
    Trained(
        name="sentiment scale, GRU regressor", task="sentiment-scale-gru", method="variational",
        data="sentiment_scale", epochs=2, limit=600, rows=16,
    ),
)  # fmt: skip
SMOKE = (replace(MODELS[0], epochs=1, limit=128, rows=4),)


def last_site(model: nn.Module, batch: Mapping[str, Tensor], plan: Plan) -> Plan:
    """The plan at the last site that it has noise at, and nowhere else."""
    installation = install(model, plan.rules, batch, 0, 0)
    last = installation.assignments[-1]
    remove(model)
    return Plan(rule(last.site.name, last.rule.pattern, axes=last.rule.axes))


def errors(
    model: nn.Module, batch: Mapping[str, Tensor], plan: Plan, kind: Any, repetitions: int
) -> dict[str, float]:
    """The mean squared error of the mean, by way and number of samples."""

    def error(samples: int, draws: Draws) -> float:
        means = [
            predict(model, batch, samples, plan=plan, seed=seed, kind=kind, draws=draws).mean
            for seed in range(repetitions)
        ]
        return float(torch.stack(means).double().var(0).mean())

    found = {f"independent {INDEPENDENT}": error(INDEPENDENT, "independent")}
    return found | {f"stratified {count}": error(count, "stratified") for count in STRATIFIED}


def samples_needed(found: Mapping[str, float]) -> float:
    """How many stratified samples have the error of the independent ones.

    Between two numbers that were tried, the logarithm of the error is taken for a line in that of
    the number; below the first, the error for one that falls as that of independent samples does.
    """
    target = found[f"independent {INDEPENDENT}"]
    tried = [(count, found[f"stratified {count}"]) for count in STRATIFIED]
    if tried[0][1] <= target:
        return tried[0][0] * tried[0][1] / target
    for (low, above), (high, below) in itertools.pairwise(tried):
        if below <= target:
            share = log(above / target) / log(above / below)
            return exp(log(low) + share * log(high / low))
    return tried[-1][0] * tried[-1][1] / target


def row(which: Trained, home: Path, encoder: Path | None, repetitions: int) -> list[dict[str, Any]]:
    """The results of one model, at one site and at all."""
    model, batch, setup = which.model(home, encoder)
    kind = find_task(which.task).kind
    rows: list[dict[str, Any]] = []
    for sites, plan in (("one", last_site(model, batch, setup.plan)), ("all", setup.plan)):
        found = errors(model, batch, plan, kind, repetitions)
        needed = samples_needed(found)
        values = {
            "model": which.name,
            "noise": sites,
            "plan": plan.to_json()["rules"],
            "errors": found,
            "samples": needed,
            "ratio": needed / INDEPENDENT,
            "error_ratio": found[f"stratified {INDEPENDENT}"] / found[f"independent {INDEPENDENT}"],
        }
        rows.append(values)
        print(
            f"{which.name}, noise at {sites} sites: {needed:.1f} stratified samples have the error "
            f"of {INDEPENDENT} independent ones (ratio {values['ratio']:.2f}); of {INDEPENDENT} "
            f"each, the error is {values['error_ratio']:.2f} of theirs",
            flush=True,
        )
    return rows


def main(arguments: Iterable[str] | None = None) -> None:
    """Train each model, try it, and write what came out, model by model.

    A run that is cut off goes on with the models that its file of today does not hold.
    """
    options = _parser().parse_args(None if arguments is None else list(arguments))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"stratified_samples_cpu_{datetime.now(UTC):%Y-%m-%d}.json"
    rows = _rows_of(path, options.seeds)
    for which in SMOKE if options.smoke else MODELS:
        if any(values["model"] == which.name for values in rows):
            print(f"measured today already: {which.name}")
            continue
        place = which.place(options.data)
        if (place is not None and not Path(place).exists()) or (
            which.encoder and options.encoder is None
        ):
            print(f"left out, its data or weights are not there: {which.name}")
            continue
        rows += row(which, options.data, options.encoder, 3 if options.smoke else options.seeds)
        _write(path, rows, options.seeds)
    print(f"written: {path}")


def _rows_of(path: Path, repetitions: int) -> list[dict[str, Any]]:
    """The rows of a file that an earlier run of as many repetitions wrote."""
    if not path.exists():
        return []
    values = json.loads(path.read_text())
    return values["rows"] if values["repetitions"] == repetitions else []


def _write(path: Path, rows: list[dict[str, Any]], repetitions: int) -> None:
    values = {
        "format": "dropsmith.stratified-samples",
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "repetitions": repetitions,
        "rows": rows,
        "environment": environment_of(torch.device("cpu")),
    }
    write_text(path, json.dumps(values, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stratified_samples")
    parser.add_argument("--data", type=Path, default=Path("."), help="folder of the data sets")
    parser.add_argument("--encoder", type=Path, help="folder of a pretrained encoder")
    parser.add_argument("--seeds", type=int, default=24, help="repetitions of each prediction")
    parser.add_argument("--smoke", action="store_true", help="one small model, three repetitions")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "benchmarks")
    return parser


if __name__ == "__main__":
    main()
