"""What to type to make a comparison again."""

import shlex
from pathlib import Path
from typing import Any

from dropsmith.compare import METHODS, Comparison, Trial, find_method, full
from dropsmith.compare.summary import sampled
from dropsmith.record import Record
from dropsmith.tasks import TASKS


def command(comparison: Comparison, data: Path | None = None) -> str:
    """What to type to make the comparison again; DIR stands for data of a place not known."""
    row, tried = comparison.rows[0], tried_of(comparison)
    config = comparison.records[-1].config
    given = any(record.environment.get("data_given") for record in comparison.records)
    place = str(data or "DIR") if given else None
    own = config["task"] not in TASKS
    means = sampled(comparison)
    options = {
        "--with": ",".join(one.method for one in comparison.rows if full(one.method) in METHODS),
        "--seeds": len(row.records),
        "--trials": len(tried) or 1,
        "--rates": _rates(comparison),
        "--tuning-seeds": len(tried[0].records) if tried else None,
        "--budget": config["budget"]["epochs"],
        "--batch-size": unusual(config, "batch_size"),
        "--learning-rate": unusual(config, "learning_rate"),
        "--limit": config["limit"],
        "--data": None if own else place,
        "--model": config["model"],
        "--precision": None if config["precision"] == "no" else config["precision"],
        "--start": _start(comparison),
        "--samples": means[0].samples if means else None,
        "--samples-of": _sampled_alone(comparison),
        "--samples-without": ",".join(means[0].without) or None if means else None,
    }
    plans = [one.method for one in comparison.rows if full(one.method) not in METHODS]
    words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
    words += [word for name in plans for word in ("--plan", f"{name}={name}.json")]
    task = place if own and place else config["task"]
    return shlex.join(["dropsmith", "compare", task, *words])


def unusual(config: dict[str, Any], name: str) -> Any:
    """What a budget has in place of the task's own; None where it is the same, or not known."""
    task, value = TASKS.get(config["task"]), config["budget"][name]
    return None if task is None or value == getattr(task.budget, name) else value


def _rates(comparison: Comparison) -> str | None:
    """The rates that were tried, where they are not the usual ones."""
    for row in comparison.rows:
        tried = [one.setting for one in row.trials] or [row.setting]
        if full(row.method) in METHODS and "rate" in tried[0]:
            rates = [one["rate"] for one in tried]
            usual = [one["rate"] for one in find_method(row.method).settings[: len(tried)]]
            return None if rates == usual else ",".join(f"{rate:g}" for rate in rates)
    return None


def _start(comparison: Comparison) -> str | None:
    """What to begin from: the place where a run leaves its weights if nothing else is said."""
    said = (record.environment.get("start") for record in comparison.records)
    told = next(filter(None, said), None)
    if told is None:
        return None
    return f"runs/{told['task']}/{told['record']}" if "record" in told else told["file"]


def _sampled_alone(comparison: Comparison) -> str | None:
    """The methods that were sampled, where others with noise were not."""
    names = [line.method for line in sampled(comparison)]
    noisy = [row.method for row in comparison.rows if row.finished and _noisy(row.finished[0])]
    return ",".join(names) if names and names != noisy else None


def _noisy(record: Record) -> bool:
    return bool(record.config["plan"]["rules"])


def tried_of(comparison: Comparison) -> tuple[Trial, ...]:
    """The trials of one method, of which any has as many that has something to tune."""
    return next((row.trials for row in comparison.rows if row.trials), ())
