"""One HTML page of runs that were made one by one: their table, curves, masks and settings."""

from collections.abc import Sequence
from pathlib import Path

from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.report import pictures
from dropsmith.report.html import (
    document,
    facts,
    folded,
    heading,
    items,
    paragraph,
    section,
    table,
)
from dropsmith.report.page import facts_of, keep
from dropsmith.report.runs import begun, runs_grid


def write_runs_page(records: Sequence[Record], folder: Path, data: Path | None = None) -> Path:
    """Write `report.html` into `folder` and return its path; see `runs_page`."""
    return keep(runs_page(records, data), folder)


def runs_page(records: Sequence[Record], data: Path | None = None) -> str:
    """The page as text.

    Nothing is compared, for the runs may differ in anything.

    Args:
        records: the runs, at least one, in the order of the table.
        data: what their task reads, for pictures of what is dropped; records hold no paths.
    """
    title = f"{', '.join(_by_task(records))}: runs"
    body = [
        heading(title),
        paragraph(
            "Runs that were made one by one. They may differ in data, length and settings, so no "
            "differences are drawn; dropsmith compare runs methods on equal terms.",
            "lead",
        ),
        section("runs", "The runs", table(runs_grid(tuple(records))), _begun(records)),
        *(_task(task, runs, data) for task, runs in _by_task(records).items()),
        section("settings", "What each was made with", *map(_settings, records)),
    ]
    return document(f"{title} · dropsmith", "\n".join(part for part in body if part))


def _begun(records: Sequence[Record]) -> str:
    said = ((record.id, begun(record)) for record in records)
    return items(f"{name} began from {whose}." for name, whose in said if whose is not None)


def _task(task: str, records: Sequence[Record], data: Path | None) -> str:
    shown = next((one for one in records if one.environment), records[0])
    parts = pictures.run_curves(records), pictures.gallery(shown, data)
    return section(f"task-{task}", task, *parts)


def _by_task(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(str(record.config["task"]), []).append(record)
    return found


def _settings(record: Record) -> str:
    config = record.config
    given = {"plan": repr(Plan.from_json(config["plan"])), "objective": str(config["objective"])}
    title = f"{record.id}: {config['method']}, seed {config['seed']}"
    return folded(title, facts(given | facts_of(record)))
