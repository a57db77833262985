"""The run of a recipe, for `train` and `predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._values import start_of
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.plans import Kind
    from dropsmith.tasks import DataOptions
    from dropsmith.train import Setup
    from dropsmith_recipes import Preset, Recipe
    from dropsmith_recipes.proxy import Proxy

LIST = "to list the recipes: dropsmith recipes"

PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="cpu|paper",
        help="Of a recipe: cpu (the default), small and short; or paper, as published.",
    ),
]


def is_recipe(name: str) -> bool:
    """True if a name has the form of a recipe's, known or not, and is not a path."""
    from dropsmith_recipes import is_recipe

    return is_recipe(name) and not Path(name).exists()


def recipe_preset(name: str, preset: str | None) -> "Preset":
    """The settings of a recipe; `TaskError` for an unknown recipe or preset."""
    from dropsmith_recipes import find_recipe

    return find_recipe(name).preset(preset or "cpu")


def recipe_setup(
    name: str,
    preset: str | None,
    *,
    seed: int,
    data: Path | None,
    data_options: "DataOptions | None",
    limit: int | None,
    precision: str,
    samples: int,
    without: "tuple[Kind, ...]",
    plan: str | None,
    start: Path | None,
    fixed_options: dict[str, Any],
) -> "Setup":
    """The setup of a recipe's run.

    Args:
        name: of the recipe.
        preset: `cpu`, `paper`, or None for `cpu`.
        seed, data, data_options: of the run.
        limit, precision, samples, without: if given, in place of those of the preset.
        plan: the file or name of a found plan, for recipes that begin with a search.
        start: the folder of the first run, for recipes of a second phase.
        fixed_options: the options that a recipe sets itself, and whether each was given.

    Raises:
        TaskError: there is no such recipe or preset, or an option is set by the recipe itself.
    """
    from dataclasses import replace

    from dropsmith.plans import Plan
    from dropsmith.tasks import NO_OPTIONS
    from dropsmith_recipes import find_recipe

    recipe = find_recipe(name)
    _check_undecided(recipe, fixed_options)
    setup = recipe.setup(
        preset or "cpu",
        seed=seed,
        data=None if data is None else str(data),
        plan=None if plan is None else Plan.load(plan),
        start=start_of(start),
    )
    setup = replace(setup, data_options=data_options or NO_OPTIONS)
    setup = recipe.transfer_plan(setup, preset or "cpu")
    changes = {"samples": samples, "samples_without": without}
    final_precision = setup.precision if precision == "no" else precision
    final_limit = setup.limit if limit is None else limit
    replacements = {key: value for key, value in changes.items() if value}
    return replace(setup, precision=final_precision, limit=final_limit, **replacements)


def _check_undecided(recipe: "Recipe", fixed_options: dict[str, Any]) -> None:
    if set_options := [option for option, value in fixed_options.items() if value]:
        options = ", ".join(set_options)
        raise TaskError(
            f"the recipe {recipe.full_name} fixes {options}\n"
            f"  leave out {options}, or train the task: dropsmith train {recipe.task}"
        )


def recipe_search(name: str, preset: str | None, fixed_options: dict[str, Any]) -> "Proxy":
    """The search of a recipe's preset.

    Raises:
        TaskError: the recipe has no search, or an option is set by the recipe itself.
    """
    from dropsmith_recipes import find_recipe

    recipe = find_recipe(name)
    _check_undecided(recipe, fixed_options)
    proxy = recipe.preset(preset or "cpu").search
    if proxy is None:
        raise TaskError(
            f"the recipe {name} has a fixed plan, and no search\n"
            f"  to train it: dropsmith train {name}"
        )
    return proxy
