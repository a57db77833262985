"""`dropsmith sites`: the places in a model for noise."""

from typing import TYPE_CHECKING

from dropsmith.cli._options import AsJson, DataFolder, ModelName, TaskName
from dropsmith.cli._output import console, print_json
from dropsmith.cli._recipe import LIST, PresetName, is_recipe, recipe_preset
from dropsmith.cli._values import find
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.plans import Plan, Site
    from dropsmith.tasks import DataOptions


def sites(
    task: TaskName,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    preset: PresetName = None,
    as_json: AsJson = False,
) -> None:
    """List every site of a task's model: the places where noise is or could be.

    A rule of a plan selects one of these by its name, or several by a glob. For a recipe, the table
    has its model and the pattern of its plan at each site.

    Example: dropsmith sites digits

    Example: dropsmith sites penn-treebank/variational-lstm-medium --data DIR
    """
    from dataclasses import asdict

    from dropsmith.cli._model import model_and_batch
    from dropsmith.noise import sites as sites_of

    plan = None
    if is_recipe(task):
        if model is not None:
            raise TaskError(f"the recipe {task} fixes --model\n  leave out --model")
        recipe = recipe_preset(task, preset)
        name, model, plan = recipe.task or task.partition("/")[0], recipe.model, recipe.plan
    elif preset is not None:
        raise TaskError(f"--preset belongs to recipes, and {task} is a task\n  {LIST}")
    else:
        name = task
    model_sites = sites_of(*model_and_batch(find(name, data, model, data_options), data))
    patterns = [_pattern(plan, site) for site in model_sites]
    if as_json:
        noise = [{} if plan is None else {"pattern": pattern or None} for pattern in patterns]
        pairs = zip(model_sites, noise, strict=True)
        print_json([asdict(site) | pattern for site, pattern in pairs])
        return
    from rich import box
    from rich.table import Table

    heads = ["site", "kind", "module", "axes and sizes", "rate"]
    table = Table(*heads, *(["plan"] if plan is not None else []), box=box.SIMPLE_HEAD)
    for site, pattern in zip(model_sites, patterns, strict=True):
        rate = "" if site.rate is None else f"{site.rate:g}"
        cells = [site.name, site.kind, site.type, _sizes(site), rate]
        table.add_row(*cells, *([pattern] if plan is not None else []))
    console().print(table)
    if is_recipe(task) and recipe_preset(task, preset).search is not None:
        print(f"A search finds its plan: dropsmith search {task} --data DIR")


def _pattern(plan: "Plan | None", site: "Site") -> str:
    """The pattern of a plan at a site, from the last rule that selects it; empty for none."""
    rules = () if plan is None else plan.rules
    return next((repr(rule.pattern) for rule in reversed(rules) if rule.fits(site)), "")


def _sizes(site: "Site") -> str:
    if not site.axes:
        return " × ".join(map(str, site.sizes))
    if not site.sizes:  # a site inside a module's forward, which names its axes
        return " ".join(site.axes)
    return " ".join(f"{axis}={n}" for axis, n in zip(site.axes, site.sizes, strict=True))
