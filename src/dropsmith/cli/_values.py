"""Values of the library from the options of the command line."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.errors import DataError, PlanError, TaskError, did_you_mean, excerpt

if TYPE_CHECKING:
    from dropsmith.compare import Rule, Setting
    from dropsmith.plans import Kind, Plan
    from dropsmith.tasks import Budget, Data, DataOptions, Task
    from dropsmith.train import Start

_DIGITS = 10
"""Too many digits for a number of epochs."""

LEAST = 64
"""The fewest examples of a tiny budget."""


def kinds(names: str | None) -> "tuple[Kind, ...]":
    """The kinds of sites in a list with commas; the run checks them."""
    return tuple(kind.strip() for kind in names.split(",")) if names else ()  # pyright: ignore


def allow_modules(names: list[str] | None) -> None:
    """Import the user's own modules that files may name; `TaskError` if one fails."""
    from dropsmith.user_code import import_module

    for name in names or []:
        import_module(name, " for --allow")


def start_of(place: Path | None) -> "Start | None":
    """The start weights at a path; `DataError` if there are none."""
    from dropsmith.train import Start

    return None if place is None else Start.of(place)


def find(
    name: str, data: Path | None, model: str | None, data_options: "DataOptions | None" = None
) -> "Task":
    """The task of a name or path, with the user's own model if one is named."""
    from dropsmith.tasks import NO_OPTIONS, find_task, with_model

    task = find_task(name, data, data_options or NO_OPTIONS)
    return task if model is None else with_model(task, model, task.load(data, None))


def budget_of(
    task: "Task",
    name: str,
    limit: int | None,
    data: Path | None,
    *,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    batches: str = "random",
) -> "tuple[Budget, int | None]":
    """The budget and the number of training examples from the options."""
    if learning_rate is not None and not 0 < learning_rate < float("inf"):
        raise TaskError(f"--learning-rate is a number above 0, got {learning_rate:g}")
    length, examples = _length_of(task, name, limit, data)
    changes = {"batch_size": batch_size, "learning_rate": learning_rate, "batches": batches}
    return replace(length, **{k: v for k, v in changes.items() if v is not None}), examples


def print_precision_note(precision: str) -> None:
    """Say on standard error where a precision makes runs slower on this machine."""
    from dropsmith.train import precision_note

    if note := precision_note(precision):
        print(note, file=sys.stderr)


def rules_of(equal: str, patience: int | None, *, several: bool = True) -> "list[Rule]":
    """The budget rules of `--equal`: one, or of `both` those of views and of updates."""
    from dropsmith.compare import RULES

    names = (*RULES, "both") if several else RULES
    if equal not in names:
        raise TaskError(
            f"--equal is one of {', '.join(names)}, got {equal[:60]!r}" + did_you_mean(equal, names)
        )
    if patience is not None and equal != "converged":
        raise TaskError(
            f"--patience {patience} is for runs to convergence, and the budget rule is {equal}\n"
            "  add --equal converged, or leave --patience out"
        )
    return ["views", "updates"] if equal == "both" else [rule for rule in RULES if rule == equal]


def _length_of(
    task: "Task", name: str, limit: int | None, data: Path | None
) -> "tuple[Budget, int | None]":
    if name == "full":
        return task.budget, limit
    if name == "quick" and limit is None:
        return task.budget, max(1, _count(task.load(data, None)) // 4)
    if name == "quick":
        return task.budget, limit
    if name == "tiny":
        count = _count(task.load(data, None))
        tiny_limit = max(min(count, LEAST), count // 100)
        return replace(task.budget, epochs=1), tiny_limit if limit is None else limit
    if not (name.isascii() and name.isdigit() and 0 < len(name) < _DIGITS and int(name)):
        raise TaskError(f"a budget is tiny, quick, full or a number of epochs, got {name[:60]!r}")
    return replace(task.budget, epochs=int(name)), limit


def _count(data: "Data") -> int:
    """The number of training examples, or of tokens for running text."""
    return data.full_size or len(data.train)


def plan_of(
    task: "Task",
    method: str,
    rate: float | None,
    source: str | None,
    *,
    data: Path | None,
    model: str | None,
) -> "Plan":
    """The plan at a source, or that of a method at a rate, for the task's own budget."""
    from dropsmith.compare import Design, pick

    if source is not None:
        if rate is not None:
            raise PlanError("give --rate or --plan, not both: a plan has its own rates")
        return plan_at(source)
    name = pick([method], task)[-1]
    changes = {} if rate is None else {"rate": rate}
    design = Design(
        task=task,
        methods=(name,),
        budget=task.budget,
        data=None if data is None else str(data),
        model=model,
    )
    return design.setup(name, setting_of(name, changes), 0).plan


def plan_at(source: str) -> "Plan":
    """The plan at a source, or the plan of a run from its record."""
    from dropsmith.plans import Plan
    from dropsmith.record import Record, is_record
    from dropsmith.train import check_run
    from dropsmith.train import plan_of as plan_of_run

    path = Path(source)
    if path.suffix == ".json" and path.is_file() and is_record(path):
        return plan_of_run(check_run(Record.load(path)))
    return Plan.load(source)


def named_plans(texts: list[str]) -> "tuple[tuple[str, Plan], ...]":
    """Plans by name from `--plan name=source`, which may be repeated."""
    plans: dict[str, Plan] = {}
    for text in texts:
        name, equals, source = text.partition("=")
        if not (name and equals and source):
            raise PlanError(
                f"a plan is NAME=SOURCE, such as learned=plan.json, got {excerpt(text)}"
            )
        if name in plans:
            raise PlanError(f"two plans are called {excerpt(name)}: give each its own name")
        plans[name] = plan_at(source)
    return tuple(plans.items())


def setting_of(method: str, changes: "Setting") -> "Setting":
    """The default setting of a method with some numbers changed."""
    from dropsmith.compare import find_method

    usual = find_method(method).settings[0]
    for name in changes:
        if name not in usual:
            raise TaskError(
                f"{method} has no setting {excerpt(name)}\n  settings: {', '.join(usual)}"
                + did_you_mean(name, usual)
            )
    return usual | changes


def rates_of(text: str | None, what: str = "rates") -> tuple[float, ...]:
    """The rates, or learning rates, in a list with commas."""
    try:
        return tuple(float(rate) for rate in text.split(",")) if text else ()
    except ValueError:
        raise TaskError(
            f"{what} are numbers with commas, such as 0.1,0.3, got {excerpt(text)}"
        ) from None


def trackers_of(names: str | None) -> tuple[str, ...]:
    """The trackers in a list with commas; `TrackerError` for an unknown one."""
    if names is None:
        return ()
    from dropsmith.train import check_trackers

    trackers = tuple(dict.fromkeys(name.strip() for name in names.split(",")))
    check_trackers(trackers)
    return trackers


def folder_of(out: Path | None, task: str) -> Path:
    """The folder for the records of a task; `DataError` at once if it cannot be made."""
    from dropsmith.tasks import plain_name
    from dropsmith.user_code import is_reference

    # A colon in a folder's name means a drive or a list of folders on some systems.
    name = task.replace(":", "-") if is_reference(task) else plain_name(task)
    folder = out or Path("runs") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"records cannot go into {folder}\n  {error.strerror}\n  name another folder: --out DIR"
        ) from None
    return folder


def numbers(settings: list[str]) -> "Setting":
    """A setting from `--set name=value`, which may be repeated."""
    values: dict[str, float] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        try:
            values[name.strip().replace("-", "_")] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise TaskError(f"a setting is name=number, such as rate=0.3, got {excerpt(text)}")
    return values
