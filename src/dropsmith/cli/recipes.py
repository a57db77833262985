"""`dropsmith recipes`: rows of the papers' tables, and your own runs of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._options import AsJson
from dropsmith.cli._output import console, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from dropsmith.record import Record
    from dropsmith_recipes import Recipe

_PIPE_WIDTH = 1000
"""The width of the table without a terminal, in columns."""

Runs = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="The folder in which records are looked for. Default: runs/TASK.",
    ),
]


def recipes(out: Runs = None, as_json: AsJson = False) -> None:
    """List the recipes: published settings of papers, their numbers, and those of your own runs.

    Each published number has its source: the paper, the authors' code, or a text that quotes it.
    Numbers without a source are left out. A recipe without a record has not been run.

    Example: dropsmith recipes
    """
    from dropsmith_recipes import RECIPES

    folders = {recipe: out or Path("runs") / recipe.task for recipe in RECIPES.values()}
    if as_json:
        print_json([_line(*item) for item in folders.items()])
    else:
        _show(folders)


def _line(recipe: "Recipe", folder: Path) -> dict[str, Any]:
    """The description of a recipe in JSON values."""
    from dataclasses import asdict

    from dropsmith_recipes.records import records_of

    return {
        "recipe": recipe.full_name,
        "about": recipe.about,
        "source": recipe.source,
        "after": None if recipe.after is None else recipe.after.full_name,
        "parameters": recipe.parameters,
        "published": [asdict(item) for item in recipe.published_scores],
        "unlike": list(recipe.unlike),
        "runs": {
            name: [_run(item) for item in records_of(recipe, name, folder)]
            for name in ("paper", "cpu")
        },
    }


def _run(record: "Record") -> dict[str, Any]:
    return {"id": record.id, "seed": record.config["seed"], "scores": record.scores}


def _show(folders: dict["Recipe", Path]) -> None:
    from dropsmith_recipes.table import row

    output = console()
    if not output.is_terminal:
        # A pipe has no width: one line for each recipe.
        output.width = _PIPE_WIDTH
    rows = [row(recipe, folder) for recipe, folder in folders.items()]
    table = _table(rows)
    natural_width = output.measure(table, options=output.options.update(width=_PIPE_WIDTH)).maximum
    output.print(table if natural_width <= output.width else _table(rows, narrow=True))
    output.print(
        "Scores are those published, shares in per cent. A run of the published settings takes so "
        "many epochs, parameters and memory (weights, gradients, optimiser).\n"
        "To run a recipe: dropsmith train RECIPE --data DIR"
    )


def _table(rows: "list[tuple[str, ...]]", narrow: bool = False) -> "Table":
    """The table, in which numbers are never wrapped; `narrow` puts several into lines."""
    from rich import box
    from rich.table import Table

    from dropsmith_recipes.table import HEADS

    table = Table(box=box.SIMPLE_HEAD, padding=0 if narrow else (0, 1))
    for head in HEADS:
        name = head.replace(", ", ",\n") if narrow else head
        table.add_column(name, no_wrap=head not in (HEADS[0], *HEADS[-2:]), overflow="fold")
    for cells in rows:
        table.add_row(*(cell.replace(" / ", " /\n") if narrow else cell for cell in cells))
    return table
