"""The output of a comparison: tables and sentences for people, or one JSON object for machines."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.errors import printable

if TYPE_CHECKING:
    from dropsmith.compare import Comparison
    from dropsmith.record import Record
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


def console(*, stderr: bool = False) -> "Console":
    """A console on standard output or error that reads no markup, emoji or numbers in a text."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def progress_bar(on: "Console", *columns: "ProgressColumn | str") -> "Progress":
    """A bar on a terminal; nothing elsewhere.

    Args:
        on: where.
        columns: a column of rich, or the format of a text.
    """
    from rich.progress import Progress, TextColumn

    texts = (TextColumn(c, markup=False) if isinstance(c, str) else c for c in columns)
    return Progress(*texts, console=on, disable=not on.is_terminal)


def show(comparison: "Comparison", page: Path, as_json: bool) -> None:
    """Print a comparison on standard output."""
    if as_json:
        print(json.dumps(as_object(comparison, page), indent=1))
        return
    from dropsmith.report import (
        control_grid,
        findings,
        main_grid,
        price_grid,
        rich_table,
        sampled_grid,
    )

    output = console()
    output.print(rich_table(main_grid(comparison)))
    for grid in (f(comparison) for f in (control_grid, sampled_grid, price_grid)):
        if grid is not None:
            output.print(rich_table(grid))
    output.print()
    for sentence in findings(comparison):
        output.print(f"• {printable(sentence)}")
    output.print(f"\nThe page: {page.resolve().as_uri()}", soft_wrap=True)


def show_runs(records: "tuple[Record, ...]", page: Path) -> None:
    """Print runs that were made one by one on standard output."""
    from dropsmith.report import rich_table, runs_grid

    output = console()
    output.print(rich_table(runs_grid(records)))
    output.print(f"\nThe page: {page.resolve().as_uri()}", soft_wrap=True)


def as_object(comparison: "Comparison", page: Path) -> dict[str, Any]:
    """All numbers of the tables, the ids of the records behind them, and the page's path."""
    from dropsmith.compare import prices, sample_averages, summarise

    return {
        "task": comparison.task,
        "baseline": comparison.baseline,
        "methods": [
            asdict(line) | {"records": [record.id for record in row.records]}
            for line, row in zip(summarise(comparison), comparison.rows, strict=True)
        ],
        "prices": [asdict(line) for line in prices(comparison)],
        "sampled": [asdict(line) for line in sample_averages(comparison)],
        "failed": {
            record.id: record.status for row in comparison.rows for record in row.failed_records
        },
        "page": str(page),
    }
