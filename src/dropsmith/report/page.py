"""One HTML page that holds a whole comparison: sentences, tables, pictures, how to run it again."""

from pathlib import Path
from typing import Any

from dropsmith.compare import METHODS, Comparison
from dropsmith.errors import DropsmithError
from dropsmith.record import Record
from dropsmith.report.bill import bill_figure
from dropsmith.report.cells import control_grid, main_grid, trial_grid
from dropsmith.report.curves import curves_figure
from dropsmith.report.figures import svg
from dropsmith.report.findings import findings
from dropsmith.report.forest import forest_figure
from dropsmith.report.html import document, facts, items, paragraph, picture, section, table

FILE = "report.html"


def write_page(comparison: Comparison, folder: Path) -> Path:
    """Write `report.html` into `folder` and return its path.

    The page is one file: it opens from disk and asks for nothing from anywhere.
    """
    path = folder / FILE
    partial = path.with_suffix(".partial")
    partial.write_text(page(comparison), encoding="utf-8")
    return partial.replace(path)


def page(comparison: Comparison) -> str:
    """The page as text."""
    head = f"<h1>{comparison.task}: methods compared</h1>"
    record = comparison.records[-1]
    body = [head, paragraph(_lead(comparison, record), "lead"), *_sections(comparison, record)]
    return document(f"{comparison.task} · dropsmith", "\n".join(part for part in body if part))


def _sections(comparison: Comparison, record: Record) -> list[str]:
    return [
        section(
            "found", "What came out", items(findings(comparison)), table(main_grid(comparison))
        ),
        section("differences", "Differences", _forest(comparison), table(control_grid(comparison))),
        section("curves", "Learning curves", _curves(comparison)),
        section("masks", "What is dropped", _gallery(record)),
        section("bill", "What it costs", _bill(comparison)),
        section("choices", "How settings were chosen", table(trial_grid(comparison))),
        section("methods", "The methods", facts(_methods(comparison))),
        section("again", "How to run it again", facts(_facts(record))),
    ]


def _lead(comparison: Comparison, record: Record) -> str:
    seeds = len(comparison.rows[0].records)
    views = next(
        (r.cost["example_views"] for r in comparison.records if "example_views" in r.cost), 0
    )
    return (
        f"{len(comparison.rows)} methods, {seeds} seeds each, {views:,.0f} example-views a run for "
        "every method. Settings were chosen on validation with equally many trials, on a seed "
        "that is not reported; the numbers are from the test set."
    )


def _forest(comparison: Comparison) -> str:
    figure = forest_figure(comparison)
    base = comparison.baseline
    return picture(
        svg(figure) if figure else None,
        f"Differences of each method to {base} in test accuracy and test NLL, with 95 % intervals. "
        "The numbers are in the table above.",
        f"Paired differences to {base}: mean and 95 % interval; a small tick per seed. Diamonds: "
        "the interval leaves zero out.",
    )


def _curves(comparison: Comparison) -> str:
    figure = curves_figure(comparison)
    return picture(
        svg(figure) if figure else None,
        "Validation loss by example-views for each method.",
        "Mean validation loss and its range over seeds, by example-views: all methods have equally "
        "many, so a two-view method makes half as many steps.",
    )


def _bill(comparison: Comparison) -> str:
    figure = bill_figure(comparison)
    return picture(
        svg(figure) if figure else None,
        "Seconds and peak memory of a run for each method. The numbers are in the first table.",
        "Mean over reported runs, several running at the same time.",
    )


def _gallery(record: Record) -> str:
    from dropsmith.report.gallery import gallery_figure
    from dropsmith.report.masks import RATE, drawn_masks
    from dropsmith.tasks import find_task

    try:
        task = find_task(record.config["task"])
        where = record.config["data"]
        data = task.load(Path(where) if where else None, record.config["limit"])
        batch, drawn = drawn_masks(task, data)
    except DropsmithError as error:
        return paragraph(f"Masks are not shown: {error}")
    return picture(
        svg(gallery_figure(batch, drawn, data.vocabulary)),
        "Grey maps of real examples in which the dropped units are orange: single units, whole "
        "channels, blocks and so on.",
        f"Validation examples inside the task's model before training, each noise at rate {RATE}. "
        "Grey: the values that go on; orange: what was dropped.",
    )


def _methods(comparison: Comparison) -> dict[str, str]:
    return {
        row.method: f"{METHODS[row.method].about} ({METHODS[row.method].source})"
        for row in comparison.rows
        if row.method in METHODS
    }


def _facts(record: Record) -> dict[str, str]:
    budget = record.config["budget"]
    shown = {name: record.config[name] for name in ("task", "data", "model", "limit")}
    shown |= {name.replace("_", " "): value for name, value in budget.items()}
    shown |= {name.replace("_", " "): value for name, value in record.environment.items()}
    return {name: _plain(value) for name, value in shown.items() if value is not None}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return str(value)
