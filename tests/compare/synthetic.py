"""Records that look like those of real runs, with numbers chosen by the test."""

import math
from dataclasses import replace

from dropsmith.compare import (
    METHODS,
    TUNING_SEED,
    Comparison,
    Design,
    Row,
    Trial,
    find_method,
    full,
)
from dropsmith.record import Record
from dropsmith.tasks import find_task

TASK = find_task("digits")
SHA256 = TASK.load().sha256


def design(methods=("none", "dropout"), **changes):
    return Design(**{"task": TASK, "methods": methods, "budget": TASK.budget} | changes)


def record(setup, nll=0.2, accuracy=0.95, status="finished"):
    """A record of a setup whose validation loss falls and then rises to its final value."""
    if status != "finished":
        return Record(config=setup.to_json(), status=status)
    views = setup.budget.epochs * 700
    curve = tuple(
        {
            "step": step,
            "epoch": step,
            "views": views * step / 10,
            "train_loss": math.exp(-step / 3),
            "validation_nll": nll + 0.8 * math.exp(-step) + 0.01 * step * (step > 5),
            "validation_accuracy": accuracy - 0.3 * math.exp(-step),
            "seconds": 0.7 * step,
        }
        for step in range(1, 11)
    )
    scores = {
        "validation_nll": nll,
        "validation_accuracy": accuracy,
        "test_nll": nll,
        "test_accuracy": accuracy,
    }
    views_of = find_method(setup.method).views if full(setup.method) in METHODS else 1
    cost = {"seconds": 5.0 + views_of, "peak_memory_bytes": 4e8, "example_views": float(views)}
    environment = {"versions": {"torch": "2.13.0"}, "device": "cpu", "data_sha256": SHA256}
    return Record(
        config=setup.to_json(), environment=environment, curve=curve, scores=scores, cost=cost
    )


def row(made, method, losses, accuracies=None, trials=(0.3, 0.2, 0.4), failed=()):
    """A method whose reported runs have these test losses, in the order of their seeds."""
    accuracies = accuracies or [1 - loss / 4 for loss in losses]
    settings = made.settings(method)
    setting = settings[trials.index(min(trials))]
    return Row(
        method=method,
        trials=tuple(
            Trial(
                setting=one,
                records=tuple(
                    record(made.setup(method, one, TUNING_SEED + seed), loss + step)
                    for seed, step in enumerate((-0.01, 0.01))
                ),
            )
            for one, loss in zip(settings, trials, strict=True)
        ),
        setting=setting,
        records=tuple(
            record(
                made.setup(method, setting, seed),
                loss,
                accuracy,
                "diverged: step 3" if seed in failed else "finished",
            )
            for seed, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
        ),
    )


def comparison(losses, **changes):
    """A comparison whose methods have these test losses by seed."""
    seeds = len(next(iter(losses.values())))
    made = design(tuple(losses), seeds=seeds)
    return Comparison(
        task="digits",
        rows=tuple(row(made, method, values, **changes) for method, values in losses.items()),
    )


def rescored(found, change):
    """The same comparison with other scores: `change` makes a run's from its test loss."""

    def one(run):
        if run.status != "finished":
            return run
        curve = [
            {k: v for k, v in step.items() if "validation" not in k}
            | {k: v for k, v in change(step["validation_nll"]).items() if "validation" in k}
            for step in run.curve
        ]
        return replace(run, scores=change(run.scores["test_nll"]), curve=tuple(curve))

    rows = [
        replace(
            row,
            records=tuple(map(one, row.records)),
            trials=tuple(
                replace(trial, records=tuple(map(one, trial.records))) for trial in row.trials
            ),
        )
        for row in found.rows
    ]
    return replace(found, rows=tuple(rows))


def of_language(loss):
    """Scores of a language model."""
    numbers = {"nll": loss, "perplexity": math.exp(loss), "calibration_error": 0.1}
    return {f"{part}_{k}": v for part in ("validation", "test") for k, v in numbers.items()}


def of_values(loss):
    """Scores of a regression whose values are in units of a half."""
    numbers = {"mse": loss, "rmse": 0.5 * math.sqrt(loss)}
    return {f"{part}_{k}": v for part in ("validation", "test") for k, v in numbers.items()}


def with_samples(found, methods, gain=0.05, without=None):
    """The same comparison in which some methods were scored by seven samples, too."""

    def one(run):
        step = gain + 0.001 * (run.config["seed"] % 10 - 1)
        mc = {f"test_mc_{name}": run.scores[f"test_{name}"] - step for name in ("nll", "accuracy")}
        asked = {"samples": 7} | ({"samples_without": without} if without else {})
        return replace(run, config=run.config | asked, scores=run.scores | mc)

    rows = [
        replace(row, records=tuple(map(one, row.records))) if row.method in methods else row
        for row in found.rows
    ]
    return replace(found, rows=tuple(rows))


LOSSES = {
    "none": [0.30, 0.34, 0.33],
    "dropout": [0.20, 0.22, 0.24],
    "spatial": [0.21, 0.25, 0.20],
    "two-sample": [0.19, 0.22, 0.22],
    "fraternal": [0.18, 0.20, 0.21],
    "r-drop": [0.152, 0.17, 0.188],
}
