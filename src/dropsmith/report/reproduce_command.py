"""The commands that make a comparison, or one of its runs, again."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from dropsmith.compare import (
    CEILING,
    LEARNING_RATE,
    PATIENCE,
    RECIPES,
    Comparison,
    Row,
    Trial,
    is_method,
    known_method,
    sample_averages,
)
from dropsmith.record import Record
from dropsmith.tasks import NO_OPTIONS, TASKS, USUAL, Bounds, DataOptions
from dropsmith.user_code import is_reference


@dataclass(frozen=True, kw_only=True)
class Place:
    """The parts of a command that records do not hold.

    Args:
        data: the data of the task, if the task does not include its own. For unknown data a command
            has DIR, or PATH for the folder of a task of the user's own.
        folder: of the records, which a command names where it is not the usual one.
        data_options: how the data is read.
        recipes: the full names of the recipes whose runs the rows are; empty for methods.
        preset: of the recipes.
    """

    data: Path | None = None
    folder: Path | None = None
    data_options: DataOptions = NO_OPTIONS
    recipes: tuple[str, ...] = ()
    preset: str = "cpu"

    def plan(self, row: Row) -> str:
        """The file with the plan of a method: one of its records, or NAME.json without a folder."""
        if self.folder is None:
            return f"{row.method}.json"
        return str(self.folder / f"{row.records[0].id}.json")


def comparison_command(
    comparison: Comparison,
    place: Place | None = None,
    *,
    seeds: int | None = None,
    epochs: int | None = None,
    more: Sequence[str] = (),
) -> str:
    """The command that makes a comparison again, also with other seeds, epochs or more methods."""
    place = place or Place()
    row, trials = comparison.rows[0], trials_of(comparison)
    means = sample_averages(comparison)
    config = comparison.records[-1].config
    if place.recipes:
        recipe_options = {"--seeds": seeds or len(row.records)}
        words = _recipe_words(config, comparison.records, place, recipe_options)
        return shlex.join(["dropsmith", "compare", ",".join(place.recipes), *words])
    options = {
        "--with": ",".join([*filter(is_method, (row.method for row in comparison.rows)), *more]),
        "--seeds": seeds or len(row.records),
        "--trials": len(trials) or 1,
        "--rates": _rates(comparison),
        "--tuning-seeds": len(trials[0].records) if trials else None,
        **_run_options(config, comparison.records, place),
        **_learning_rates(row),
        **_rule_options(comparison, config, epochs),
        "--samples": means[0].samples if means else None,
        "--samples-of": _sampled_methods(comparison),
        "--samples-without": ",".join(means[0].without) or None if means else None,
    }
    rows = [row for row in comparison.rows if not is_method(row.method)]
    words = [word for row in rows for word in ("--plan", f"{row.method}={place.plan(row)}")]
    task = _task_word(config, comparison.records, place)
    words += place_words(place, usual_folder(config), config)
    return shlex.join(["dropsmith", "compare", task, *option_words(options), *words])


def train_command(comparison: Comparison, row: Row, record: Record, place: Place) -> str:
    """The command that makes one run of a comparison, or finds it among the records.

    The run of a plan of the user's own is made anew: `train` calls it dropout.
    """
    config = record.config
    if place.recipes:
        name = place.recipes[comparison.rows.index(row)]
        words = _recipe_words(config, comparison.records, place, {"--seed": config["seed"]})
        return shlex.join(["dropsmith", "train", name, *words])
    options: dict[str, Any] = {"--plan": place.plan(row)}
    sets: list[str] = []
    if is_method(row.method):
        options = {"--with": row.method}
        sets = [
            word
            for name, value in row.setting.items()
            if name != LEARNING_RATE
            for word in ("--set", f"{name}={_number(value)}")
        ]
    options |= {"--seed": config["seed"]} | _run_options(config, comparison.records, place)
    options |= _rule_options(comparison, config)
    options |= {
        "--samples": config.get("samples"),
        "--samples-without": ",".join(config.get("samples_without", ())) or None,
    }
    first = ("--with", "--plan")
    head = {name: value for name, value in options.items() if name in first}
    rest = {name: value for name, value in options.items() if name not in first}
    task = _task_word(config, comparison.records, place)
    words = [*option_words(head), *sets, *option_words(rest)]
    words += place_words(place, usual_folder(config), config)
    return shlex.join(["dropsmith", "train", task, *words])


def _rule_options(
    comparison: Comparison, config: Mapping[str, Any], epochs: int | None = None
) -> dict[str, Any]:
    """The options of the budget rule, and the epochs of which it makes a run."""
    rule, budget = comparison.equal, config["budget"]
    if rule == "converged":
        patience = budget["patience"]
        return {
            "--equal": rule,
            "--patience": None if patience == PATIENCE else patience,
            "--budget": epochs or budget["epochs"] // CEILING,
        }
    equal = {} if rule in ("views", RECIPES) else {"--equal": rule}
    return equal | {"--budget": epochs or budget["epochs"]}


def _recipe_words(
    config: Mapping[str, Any], records: Iterable[Record], place: Place, options: dict[str, Any]
) -> list[str]:
    """The options of a command on recipes, which decide all else."""
    options |= {
        "--preset": place.preset if place.preset != "cpu" else None,
        "--limit": config["limit"],
        "--data": _data_word(records, place),
        "--precision": None if config["precision"] == "no" else config["precision"],
    }
    return [*option_words(options), *place_words(place, usual_folder(config), config)]


def _number(value: float) -> str:
    """A number in full, without a point where it is whole.

    >>> _number(1.0), _number(1 / 3)
    ('1', '0.3333333333333333')
    """
    return repr(value).removesuffix(".0")


def option_words(options: Mapping[str, Any]) -> list[str]:
    """The words of options; those whose value is None are left out."""
    return [str(word) for pair in options.items() if pair[1] is not None for word in pair]


def is_path(config: Mapping[str, Any]) -> bool:
    """True if a task's name in a record is the last part of a path to data."""
    return config["task"] not in TASKS and not is_reference(config["task"])


def _data_word(records: Iterable[Record], place: Place) -> str | None:
    has_data = any(record.environment.get("data_given") for record in records)
    return str(place.data or "DIR") if has_data else None


def _task_word(config: Mapping[str, Any], records: Iterable[Record], place: Place) -> str:
    return task_word(config, place, data_given=_data_word(records, place) is not None)


def task_word(config: Mapping[str, Any], place: Place, *, data_given: bool) -> str:
    """The task as a command names it: data of the user's own by its path."""
    if not (is_path(config) and data_given):
        return config["task"]
    return path_word(str(place.data)) if place.data else f"PATH/{config['task']}"


def path_word(path: str) -> str:
    """A path as it is typed in place of a task, also where a task has its name.

    >>> path_word("photos"), path_word("digits"), path_word("/data/digits")
    ('photos', './digits', '/data/digits')
    """
    return f"./{path}" if path in TASKS or is_reference(path) else path


def _run_options(config: dict[str, Any], records: Sequence[Record], place: Place) -> dict[str, Any]:
    """The options of a run that compare and train share."""
    return {
        "--budget": config["budget"]["epochs"],
        "--batch-size": unusual(config, "batch_size"),
        "--learning-rate": unusual(config, "learning_rate"),
        "--batches": config["budget"].get("batches"),
        "--limit": config["limit"],
        "--labels": config.get("labels"),
        "--unlabelled": "PATH" if config.get("unlabelled") else None,
        "--unlabelled-ratio": config.get("unlabelled_ratio"),
        "--data": None if is_path(config) else _data_word(records, place),
        "--model": config["model"],
        "--precision": None if config["precision"] == "no" else config["precision"],
        "--start": _start(records),
    }


def usual_folder(config: Mapping[str, Any], start: str = "") -> Path:
    """The folder of a task's records where a command names none.

    Args:
        config: of a record.
        start: of the folder's name, as `search-` for a search.
    """
    return Path("runs") / f"{start}{config['task']}".replace(":", "-")


def as_recorded(options: DataOptions, config: Mapping[str, Any]) -> DataOptions:
    """The options, with those that a configuration holds as it has them."""
    return replace(options, drop_repeats=config.get("drop_repeats"))


def place_words(place: Place, usual: Path, config: Mapping[str, Any]) -> list[str]:
    """The options that read the data, and the folder of records where it is not the usual one.

    Args:
        place: of the data and the records.
        usual: the folder where a command names none.
        config: of a record.
    """
    words = list(as_recorded(place.data_options, config).words())
    for bound in fields(Bounds):
        if (value := getattr(place.data_options.bounds, bound.name)) != getattr(USUAL, bound.name):
            words += ["--bound", f"{bound.name}={value}"]
    if place.folder not in (None, usual):
        words += ["--out", str(place.folder)]
    return words


def unusual(config: dict[str, Any], name: str) -> Any:
    """The value of a budget where it differs from that of the task, or where that is not known."""
    task, value = TASKS.get(config["task"]), config["budget"][name]
    return None if task is not None and value == getattr(task.budget, name) else value


def _rates(comparison: Comparison) -> str | None:
    """The rates of the trials, where they are not the usual ones."""
    for row in comparison.rows:
        settings = [trial.setting for trial in row.trials] or [row.setting]
        method = known_method(row.method)
        if method is not None and "rate" in settings[0]:
            rates = [setting["rate"] for setting in settings]
            standard = method.settings[: len(settings)]
            usual = [setting["rate"] for setting in standard]
            return None if rates == usual else ",".join(map(_number, rates))
    return None


def _learning_rates(row: Row) -> dict[str, Any]:
    """The learning rates of the trials in place of that of one run, where they were tried."""
    settings = [trial.setting for trial in row.trials] or [row.setting]
    if LEARNING_RATE not in settings[0]:
        return {}
    values = ",".join(_number(setting[LEARNING_RATE]) for setting in settings)
    return {"--learning-rate": None, "--learning-rates": values}


def _start(records: Iterable[Record]) -> str | None:
    """The start of the runs: by default the place where a run leaves its weights."""
    starts = (record.environment.get("start") for record in records)
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
