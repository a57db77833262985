"""Recipes as the rows of a comparison, each over several seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.cli._recipe import recipe_setup
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.compare import Comparison
    from dropsmith.report import Place
    from dropsmith.tasks import DataOptions
    from dropsmith.train import Setup


def recipe_setups(
    names: list[str],
    preset: str | None,
    seeds: int,
    *,
    data: Path | None,
    data_options: "DataOptions | None",
    limit: int | None,
    precision: str,
    plan: str | None,
    folder: Path,
    fixed_options: dict[str, Any],
) -> "list[list[Setup]]":
    """The runs of each recipe, one for each seed.

    A recipe that starts from the weights of another uses the run of that recipe with the same seed,
    if it is in the folder.

    Raises:
        TaskError: the recipes are of several tasks, one is named twice, or as in `recipe_setup`.
    """
    from dropsmith_recipes import find_recipe

    recipes = [find_recipe(name) for name in names]
    if len({recipe.task for recipe in recipes}) > 1 or len(set(names)) < len(names):
        raise TaskError(
            f"a comparison needs different recipes of one task, got {', '.join(names)}\n"
            "  compare those of each task by themselves"
        )
    if seeds < 1:
        raise TaskError(f"--seeds is 1 or more, got {seeds}")
    groups = []
    for recipe in recipes:
        setups = []
        for seed in range(seeds):
            first = recipe.first_id(preset or "cpu", seed)
            start = None if first is None else folder / first
            setups.append(
                recipe_setup(
                    recipe.full_name,
                    preset,
                    seed=seed,
                    data=data,
                    data_options=data_options,
                    limit=limit,
                    precision=precision,
                    samples=0,
                    without=(),
                    plan=plan,
                    start=start if start is not None and start.exists() else None,
                    fixed_options=fixed_options,
                )
            )
        groups.append(setups)
    return groups


def compare_recipes(
    groups: "list[list[Setup]]", folder: Path, processes: int | None, again: bool
) -> "Comparison":
    """Train the runs that are not on disk, and save the comparison of all."""
    from dropsmith.cli._progress import runs_bar
    from dropsmith.compare import RECIPES, Comparison, Row, run

    flat = [setup for group in groups for setup in group]
    with runs_bar(flat[0].task, len(flat)) as watch:
        records = iter(run(flat, folder, processes=processes, watch=watch, again=again))
    rows = tuple(
        Row(
            method=group[0].method,
            trials=(),
            setting={"weight_decay": group[0].budget.weight_decay},
            records=tuple(next(records) for _ in group),
        )
        for group in groups
    )
    comparison = Comparison(task=flat[0].task, rows=rows, equal=RECIPES)
    comparison.save(folder)
    return comparison


def with_recipes(place: "Place", comparison: "Comparison") -> "Place":
    """The place, with the names of recipes if every row of the comparison is a recipe."""
    from dataclasses import replace

    from dropsmith_recipes import RECIPES

    names, presets = [], set()
    for row in comparison.rows:
        config = row.records[0].config
        found = [
            (recipe.full_name, preset)
            for recipe in RECIPES.values()
            for preset in ("cpu", "paper")
            if recipe.name == row.method
            and config["task"] == (recipe.preset(preset).task or recipe.task)
            and config["model"] == recipe.preset(preset).model
            and config["budget"] == recipe.preset(preset).budget.to_json()
        ]
        if not found:
            return place
        names.append(found[0][0])
        presets.add(found[0][1])
    preset = presets.pop() if len(presets) == 1 else "cpu"
    return replace(place, recipes=tuple(names), preset=preset)
