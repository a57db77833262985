"""The output of a comparison: tables and sentences for people, or one JSON object for machines."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType
    from rich.progress import ProgressColumn

    from dropsmith.compare import Comparison, Line, Row
    from dropsmith.record import Record
    from dropsmith.report import Place


def console(*, stderr: bool = False) -> "Console":
    """A console on standard output or error that prints texts as they are."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def progress_bar(on: "Console", *columns: "ProgressColumn | str") -> Any:
    """A progress bar, on a terminal only. Its attribute `below` is a line under it.

    Args:
        on: the console.
        columns: a column of rich, or the format of a text.
    """
    from rich.progress import Progress, TextColumn
    from rich.text import Text

    class WithLine(Progress):
        below = ""

        def get_renderables(self) -> "Iterator[RenderableType]":
            yield from super().get_renderables()
            if self.below:
                yield Text(self.below)

    texts = (TextColumn(c, markup=False) if isinstance(c, str) else c for c in columns)
    return WithLine(*texts, console=on, disable=not on.is_terminal)


def print_json(values: Any) -> None:
    """Print values as valid JSON: null for NaN, 1e999 for infinity."""
    from dropsmith.files import json_text

    print(json_text(values), end="")


def show(comparison: "Comparison", page: Path, as_json: bool, place: "Place | None" = None) -> None:
    """Print a comparison: tables, sentences, and at the end the answer."""
    if as_json:
        print_json(as_object(comparison, page, place))
        return
    from dropsmith.report import (
        answer_text,
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
    result = answer_text(comparison, place)
    output.print(f"\n{printable(result.text)}")
    output.print(f"\n  {printable(result.command)}", soft_wrap=True)
    for line in _model_lines(comparison, place):
        output.print(printable(line), soft_wrap=True)


def _model_lines(comparison: "Comparison", place: "Place | None") -> list[str]:
    """The folder of the model that the answer names, and how it predicts; none where it is gone."""
    from dropsmith.compare import answer

    record = answer(comparison).record
    if place is None or place.folder is None or record is None:
        return []
    lines = next_commands(place.folder / record)
    return ["", f"The folder with its model: {place.folder / record}", *lines] if lines else []


def show_runs(records: "tuple[Record, ...]", page: Path) -> None:
    """Print the table of single runs."""
    from dropsmith.report import rich_table, runs_grid

    output = console()
    output.print(rich_table(runs_grid(records)))
    output.print(f"\nThe page: {page.resolve().as_uri()}", soft_wrap=True)


def as_object(comparison: "Comparison", page: Path, place: "Place | None" = None) -> dict[str, Any]:
    """The answer, all numbers of the tables, the ids of their records, and the page's path."""
    from dropsmith.compare import constant_predictor, prices, sample_averages, summarise
    from dropsmith.report import answer_object

    constant = constant_predictor(comparison)
    return {
        "task": comparison.task,
        "baseline": comparison.baseline,
        "answer": answer_object(comparison, place),
        "constant": None if constant is None else asdict(constant),
        "methods": [
            asdict(line)
            | _verdicts(line)
            | _all_scores(row)
            | {"records": [record.id for record in row.records]}
            for line, row in zip(summarise(comparison), comparison.rows, strict=True)
        ],
        "prices": [asdict(line) for line in prices(comparison)],
        "sampled": [asdict(line) for line in sample_averages(comparison)],
        "failed": {
            record.id: record.status for row in comparison.rows for record in row.failed_records
        },
        "page": str(page),
    }


def _verdicts(line: "Line") -> dict[str, dict[str, dict[str, str]]]:
    from dropsmith.compare import verdict

    families = {"to_baseline": line.to_baseline, "to_control": line.to_control}
    return {
        "verdicts": {
            family: {name: verdict(name, change).value for name, change in changes.items()}
            for family, changes in families.items()
        }
    }


def _all_scores(row: "Row") -> dict[str, dict[str, Any]]:
    """The mean and the deviation over seeds of every score that all finished runs have."""
    from dropsmith.compare import Spread

    runs = row.finished_records
    names = [
        name for name in (runs[0].scores if runs else ()) if all(name in r.scores for r in runs)
    ]
    return {"scores": {name: asdict(Spread.of(list(row.scores(name).values()))) for name in names}}


_NEW_EXAMPLES = {"pictures": "PICTURES"}
"""The placeholder for new examples of a kind; a table for all others."""


def next_commands(run: Path) -> list[str]:
    """The lines about predicting new examples with the model in a run's folder.

    None for a folder of an earlier version.
    """
    from dropsmith.errors import DataError
    from dropsmith.files import read_json
    from dropsmith.run_folder import PREPROCESSING, RunDescription, describes_run

    if not describes_run(run):
        return []
    place = shlex.quote(str(run))
    try:
        model = RunDescription.load(run).model
        steps: Any = read_json(run / PREPROCESSING) if (run / PREPROCESSING).exists() else None
    except (OSError, DataError):  # `load` reports the error
        return []
    if steps is None:
        return [f"To predict with it in Python: dropsmith.load({str(run)!r})"]
    new = _NEW_EXAMPLES.get(steps.get("kind"), "new.csv")
    own = f" --model {model['function']}" if model["source"] == "function" else ""
    return [
        "To predict new examples:",
        f"  dropsmith predict {place} {new} --out predictions.csv{own}",
    ]
