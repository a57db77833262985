"""`dropsmith report`: the page and the tables of records on disk."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropsmith.cli._options import Allow, AsJson, DataFolder, ModelName
from dropsmith.cli._output import print_json
from dropsmith.cli._values import allow_modules

if TYPE_CHECKING:
    from dropsmith.report import Grid
    from dropsmith.tasks import DataOptions

Runs = Annotated[
    Path,
    typer.Argument(metavar="RUNS_DIR", help="The folder of a comparison, such as runs/digits."),
]
Markdown = Annotated[
    Path | None,
    typer.Option(
        "--into",
        metavar="FILE",
        help="Also put the table into this Markdown file, between the comments `<!-- NAME -->` "
        "and `<!-- /NAME -->`, where NAME is that of the folder.",
    ),
]


def report(
    runs: Runs,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    into: Markdown = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Write the page of a comparison or a search from its records, and print its table.

    The page draws masks over examples. Records have no path of the data, so give --data if the task
    does not include its own. Your own model is run for these pictures only if --model names it,
    because files alone never run code.

    For runs that were made by train, and not by compare, the page and the table list the runs
    without differences.

    Example: dropsmith report runs/digits
    """
    from dropsmith.cli._output import show
    from dropsmith.cli._recipe_rows import with_recipes
    from dropsmith.compare import FILE, Comparison
    from dropsmith.learn import FILE as PROBLEM
    from dropsmith.report import Place, main_grid, write_page
    from dropsmith.tasks import NO_OPTIONS

    allow_modules(allow)
    data_options = data_options or NO_OPTIONS
    if (runs / PROBLEM).exists():
        _searches(runs, data, model, data_options, into, as_json)
        return
    if not (runs / FILE).exists():
        _runs(runs, data, model, data_options, into, as_json)
        return
    comparison = Comparison.load(runs)
    _fill(into, runs, main_grid(comparison))
    place = with_recipes(Place(data=data, folder=runs, data_options=data_options), comparison)
    page = write_page(comparison, runs, data, model, data_options, place)
    show(comparison, page, as_json, place)


def _fill(document: Path | None, runs: Path, grid: "Grid") -> None:
    """Put a table between the marks of a folder's name in a document, if one is given."""
    from dropsmith.report import markdown_table, write_between

    if document is not None:
        write_between(document, runs.resolve().name, markdown_table(grid))


def _searches(
    runs: Path,
    data: Path | None,
    model: str | None,
    data_options: "DataOptions",
    into: Path | None,
    as_json: bool,
) -> None:
    from dropsmith.cli._searches import as_object, retraining_comparison, show
    from dropsmith.learn import Searches
    from dropsmith.report import Place, plan_grid, write_search_page

    searches = Searches.load(runs)
    comparison = retraining_comparison(runs)
    _fill(into, runs, plan_grid(searches))
    place = Place(data=data, folder=runs, data_options=data_options)
    page = write_search_page(searches, runs, comparison, data, model, data_options, place)
    if as_json:
        print_json(as_object(searches, comparison, place, page))
    else:
        show(searches, comparison, place, page)


def _runs(
    runs: Path,
    data: Path | None,
    model: str | None,
    data_options: "DataOptions",
    into: Path | None,
    as_json: bool,
) -> None:
    from dropsmith.cli._output import show_runs
    from dropsmith.report import runs_grid, runs_in, write_runs_page

    records = runs_in(runs)
    page = write_runs_page(records, runs, data, model, data_options)
    _fill(into, runs, runs_grid(records))
    if as_json:
        print_json([record.to_json() for record in records])
        return
    show_runs(records, page)
