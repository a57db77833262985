"""The command that makes a comparison or a search again."""

import shlex
from pathlib import Path
from typing import Any

from dropsmith.compare import METHODS, Comparison, Trial, find_method, full, sample_averages
from dropsmith.learn import FILE, FIXED_PLAN, Searches, SearchRun
from dropsmith.pattern_search import ConvSpace, SequenceSpace
from dropsmith.record import Record
from dropsmith.report.html import code, paragraph
from dropsmith.tasks import TASKS


def comparison_command(comparison: Comparison, data: Path | None = None) -> str:
    """The command that makes a comparison again; DIR stands for data of an unknown place."""
    row, trials = comparison.rows[0], trials_of(comparison)
    config = comparison.records[-1].config
    has_data = any(record.environment.get("data_given") for record in comparison.records)
    place = str(data or "DIR") if has_data else None
    is_path = config["task"] not in TASKS
    means = sample_averages(comparison)
    options = {
        "--with": ",".join(row.method for row in comparison.rows if full(row.method) in METHODS),
        "--seeds": len(row.records),
        "--trials": len(trials) or 1,
        "--rates": _rates(comparison),
        "--tuning-seeds": len(trials[0].records) if trials else None,
        "--budget": config["budget"]["epochs"],
        "--batch-size": unusual(config, "batch_size"),
        "--learning-rate": unusual(config, "learning_rate"),
        "--limit": config["limit"],
        "--data": None if is_path else place,
        "--model": config["model"],
        "--precision": None if config["precision"] == "no" else config["precision"],
        "--start": _start(comparison),
        "--samples": means[0].samples if means else None,
        "--samples-of": _sampled_methods(comparison),
        "--samples-without": ",".join(means[0].without) or None if means else None,
    }
    plans = [row.method for row in comparison.rows if full(row.method) not in METHODS]
    words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
    words += [word for name in plans for word in ("--plan", f"{name}={name}.json")]
    task = place if is_path and place else config["task"]
    return shlex.join(["dropsmith", "compare", task, *words])


def unusual(config: dict[str, Any], name: str) -> Any:
    """The value of a budget where it differs from the task's, else None; None for other tasks."""
    task, value = TASKS.get(config["task"]), config["budget"][name]
    return None if task is None or value == getattr(task.budget, name) else value


def _rates(comparison: Comparison) -> str | None:
    """The rates of the trials, where they are not the usual ones."""
    for row in comparison.rows:
        settings = [trial.setting for trial in row.trials] or [row.setting]
        if full(row.method) in METHODS and "rate" in settings[0]:
            rates = [setting["rate"] for setting in settings]
            standard = find_method(row.method).settings[: len(settings)]
            usual = [setting["rate"] for setting in standard]
            return None if rates == usual else ",".join(f"{rate:g}" for rate in rates)
    return None


def _start(comparison: Comparison) -> str | None:
    """The start of the runs: by default the place where a run leaves its weights."""
    starts = (record.environment.get("start") for record in comparison.records)
    start = next(filter(None, starts), None)
    if start is None:
        return None
    return f"runs/{start.get('task')}/{start['record']}" if "record" in start else start.get("file")


def _sampled_methods(comparison: Comparison) -> str | None:
    """The methods scored by samples, where others with noise were not."""
    names = [line.method for line in sample_averages(comparison)]
    noisy = [
        row.method
        for row in comparison.rows
        if row.finished_records and _has_noise(row.finished_records[0])
    ]
    return ",".join(names) if names and names != noisy else None


def _has_noise(record: Record) -> bool:
    return bool(record.config["plan"]["rules"])


def trials_of(comparison: Comparison) -> tuple[Trial, ...]:
    """The trials of one method, of which any has as many that has something to tune."""
    return next((row.trials for row in comparison.rows if row.trials), ())


_SPACES = {ConvSpace: "conv", SequenceSpace: "sequence"}


def search_command_html(search: SearchRun, searches: Searches, data: Path | None = None) -> str:
    """The command on the page, or a paragraph where no command says all."""
    if search.command_words or _has_task_budget(searches):
        return code(search_command(search, searches, data))
    return paragraph(
        "Its children step otherwise than their task does, which no command says: "
        f"dropsmith.learn.learn, with the configuration in {FILE}."
    )


def search_command(search: SearchRun, searches: Searches, data: Path | None = None) -> str:
    """The command that makes a search again; DIR stands for data of an unknown place."""
    problem, config = searches.problem, searches.problem.config
    place = str(data or "DIR") if problem.environment.get("data_given") else None
    is_path = config["task"] not in TASKS
    if search.command_words:
        where = () if place is None else ("--data", place)
        return shlex.join(["dropsmith", "search", *search.command_words, *where])
    options = {
        "--trials": 1 + max(trial.proposal_index for trial in search.trials),
        "--sampler": search.sampler,
        "--space": _SPACES.get(type(problem.space)),
        "--seeds-per-plan": problem.seeds if problem.seeds > 1 else None,
        "--pruner": search.pruner,
        "--budget": config["budget"]["epochs"],
        "--batch-size": unusual(config, "batch_size"),
        "--learning-rate": unusual(config, "learning_rate"),
        "--limit": config["limit"],
        "--data": None if is_path else place,
        "--model": config["model"],
        "--plan": FIXED_PLAN if problem.fixed_plan.rules else None,
        "--precision": config["precision"] if config["precision"] != "no" else None,
        "--seed": search.seed or None,
    }
    words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
    task = place if is_path and place else config["task"]
    return shlex.join(["dropsmith", "search", task, *words])


def _has_task_budget(searches: Searches) -> bool:
    """True if children have their task's budget, apart from what a command can set."""
    config = searches.problem.config
    task = TASKS.get(config["task"])
    options = {"epochs": 0, "batch_size": 0, "learning_rate": 0}
    return task is None or task.budget.to_json() | options == config["budget"] | options
