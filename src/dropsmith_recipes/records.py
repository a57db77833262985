"""Our records that are runs of a recipe, whatever their seed."""

import re
from pathlib import Path
from typing import Any

from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.train import Start
from dropsmith_recipes._recipe import Recipe

_NAME = re.compile(r"[0-9a-f]{12}\.json")


def records_of(recipe: Recipe, preset: str, folder: Path) -> list[Record]:
    """The finished runs of a preset in a folder, in the order of their seeds.

    Args:
        recipe: the recipe.
        preset: `paper` or `cpu`.
        folder: where records are; none are found in one that does not exist.

    Raises:
        DataError: a record there cannot be read.
    """
    # A searched plan differs from search to search, and is a run of the recipe all the same; so do
    # weights from run to run.
    free_values: dict[str, Any] = {}
    if recipe.preset(preset).search is not None:
        free_values["plan"] = Plan()
    if recipe.after is not None:
        free_values["start"] = Start(weights=Path(), sha256="")
    free = {"seed", *free_values}
    settings = _settings(recipe.setup(preset, **free_values).to_json(), free)
    files = sorted(path for path in folder.glob("*.json") if _NAME.fullmatch(path.name))
    records = [record for path in files if _is(record := Record.load(path), settings, free)]
    matching = [record for record in records if _has_same_start(record, recipe, preset)]
    return sorted(matching, key=lambda record: record.config["seed"])


def _is(record: Record, settings: dict[str, Any], free: set[str]) -> bool:
    return record.status == "finished" and _settings(record.config, free) == settings


def _has_same_start(record: Record, recipe: Recipe, preset: str) -> bool:
    """True if a run began from what its recipe begins from: a run of the one before it."""
    first = record.environment.get("start", {})
    seed = first.get("seed")
    first_id = None if seed is None else recipe.first_id(preset, seed)
    return recipe.after is None or (first_id is not None and first_id == first.get("record"))


def _settings(config: dict[str, Any], free: set[str]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in free}
