"""`dropsmith recipes`: rows of the papers' tables, and which of them were run here."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._options import AsJson

if TYPE_CHECKING:
    from dropsmith.record import Record
    from dropsmith_recipes import Recipe

Runs = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Where to look for records. Default: runs/TASK."),
]

_SHOWN = ("test_perplexity", "test_rmse")
_HEADS = {
    "validation_perplexity": "validation",
    "test_perplexity": "test",
    "test_mc_perplexity": "test, samples",
}


def recipes(out: Runs = None, as_json: AsJson = False) -> None:
    """List the recipes with the published numbers, and what our own runs gave.

    A number says where it was seen: in the paper, in the authors' code, quoted by another text, or
    remembered. A recipe without a record is not run.

    Example: dropsmith recipes
    """
    import json

    from dropsmith_recipes import RECIPES

    lines = [_line(recipe, out) for recipe in RECIPES.values()]
    if as_json:
        print(json.dumps(lines, indent=1))
        return
    _show(lines)


def _line(recipe: "Recipe", out: Path | None) -> dict[str, Any]:
    """All there is to say of a recipe, as JSON values."""
    from dataclasses import asdict

    from dropsmith_recipes.recorded import records_of

    folder = out or Path("runs") / recipe.task
    return {
        "recipe": recipe.full_name,
        "about": recipe.about,
        "source": recipe.source,
        "parameters": recipe.parameters,
        "published": [asdict(one) for one in recipe.published],
        "unlike": list(recipe.unlike),
        "runs": {
            name: [_run(one) for one in records_of(recipe, name, folder)]
            for name in ("paper", "cpu")
        },
    }


def _run(record: "Record") -> dict[str, Any]:
    return {"id": record.id, "seed": record.config["seed"], "scores": record.scores}


def _show(lines: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", *_HEADS.values(), "seen in", "run here", box=box.SIMPLE_HEAD)
    for line in lines:
        published = {one["score"]: f"{one['value']:.1f}" for one in line["published"]}
        seen = ", ".join(dict.fromkeys(one["certainty"] for one in line["published"]))
        numbers = [published.get(score, "") for score in _HEADS]
        table.add_row(line["recipe"], *numbers, seen, _said(line["runs"]))
    console = Console(highlight=False)
    console.print(table)
    console.print("Published perplexities; to run one: dropsmith train RECIPE --data DIR")


def _said(runs: dict[str, list[dict[str, Any]]]) -> str:
    parts = []
    for preset, records in runs.items():
        scores = [next(r["scores"][s] for s in _SHOWN if s in r["scores"]) for r in records]
        if scores:
            parts.append(f"{preset} {fmean(scores):.4g} ({len(scores)})")
    return ", ".join(parts) or "not run"
