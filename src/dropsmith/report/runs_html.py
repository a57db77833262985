"""One HTML page of runs that were made one by one: their table, curves, masks and settings."""

from collections.abc import Sequence
from pathlib import Path

from dropsmith.record import Record
from dropsmith.report import pictures
from dropsmith.report.comparison_html import facts_of
from dropsmith.report.html import (
    contents,
    document,
    facts,
    folded,
    heading,
    items,
    paragraph,
    save_page,
    section,
    table,
)
from dropsmith.report.runs import runs_grid, starting_weights
from dropsmith.tasks import NO_OPTIONS, DataOptions
from dropsmith.train import plan_of


def write_runs_page(
    records: Sequence[Record],
    folder: Path,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
) -> Path:
    """Write `report.html` into `folder` and return its path; see `runs_page`."""
    return save_page(runs_page(records, data, model, data_options), folder)


def runs_page(
    records: Sequence[Record],
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
) -> str:
    """The page as text.

    Nothing is compared, for the runs may differ in anything.

    Args:
        records: the runs, at least one, in the order of the table.
        data: the data of their task, for pictures of what is dropped; records hold no paths.
        data_options: how it is read.
        model: the name of the user's own model of the runs, where masks are to be drawn inside it.
    """
    title = f"{', '.join(_by_task(records))}: runs"
    sections = [
        section("runs", "The runs", table(runs_grid(tuple(records)), "runs"), _starts(records)),
        *(
            _task(f"task-{number}", task, runs, data, model, data_options)
            for number, (task, runs) in enumerate(_by_task(records).items(), start=1)
        ),
        section("settings", "Settings of each run", *map(_settings, records)),
    ]
    body = [
        heading(title),
        paragraph(
            "Runs that were made one by one. They may differ in data, length and settings, so they "
            "are not compared here; dropsmith compare runs methods on equal terms.",
            "lead",
        ),
        contents(sections),
        *sections,
    ]
    return document(f"{title} · dropsmith", "\n".join(part for part in body if part))


def _starts(records: Sequence[Record]) -> str:
    starts = ((record.id, starting_weights(record)) for record in records)
    return items(f"{name} started from {words}." for name, words in starts if words is not None)


def _task(
    name: str,
    task: str,
    records: Sequence[Record],
    data: Path | None,
    model: str | None,
    data_options: DataOptions,
) -> str:
    record = next((run for run in records if run.environment), records[0])
    plans = pictures.run_plans(records)
    parts = (
        pictures.run_curves(records, f"{name}-curves"),
        pictures.gallery(record, plans, data, model, data_options, f"{name}-masks"),
    )
    return section(name, task, *parts)


def _by_task(records: Sequence[Record]) -> dict[str, list[Record]]:
    by_task: dict[str, list[Record]] = {}
    for record in records:
        by_task.setdefault(str(record.config["task"]), []).append(record)
    return by_task


def _settings(record: Record) -> str:
    config = record.config
    setup = {"plan": repr(plan_of(record)), "objective": str(config["objective"])}
    title = f"{record.id}: {config['method']}, seed {config['seed']}"
    return folded(title, facts(setup | facts_of(record)))
