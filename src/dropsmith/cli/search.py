"""`dropsmith search`: a pattern learned on a task."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropsmith.cli._options import (
    AsJson,
    BatchSize,
    BudgetName,
    DataFolder,
    LearningRate,
    Limit,
    ModelName,
    Out,
    Precision,
    TaskName,
    budget_of,
    find,
    folder_of,
)
from dropsmith.cli._recipe import LIST, PresetName, is_recipe, recipe_search
from dropsmith.cli._retrained import RetrainSeeds, RetrainWith, retrained, rivals
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.compare import Comparison
    from dropsmith.learn import Searches
    from dropsmith.tasks import Budget, Task
    from dropsmith.train import Setup

TRIALS, SAMPLER = 40, "controller"
"""Where neither the command nor a recipe says how many; what proposes them, where it does not."""

Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        min=1,
        help="How many plans are tried, earlier ones counted. Default: 40, or what a recipe says.",
    ),
]
SamplerName = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        help="What proposes plans: controller (learned, as in AutoDropout), random, tpe or "
        "evolution. Default: controller, or what a recipe says.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where children are trained: local (processes here), serial, ray (a cluster started "
        "here), or ray:ADDRESS.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Trials at the same time. Default: one a processor."),
]
Seeds = Annotated[
    int,
    typer.Option("--seeds-per-plan", min=1, help="Children of a plan, whose scores are averaged."),
]
SpaceName = Annotated[
    str,
    typer.Option(
        "--space",
        metavar="auto|conv|sequence",
        help="What may be dropped: tilings of a convolutional network's maps, or runs of steps in "
        "Transformer blocks.",
    ),
]
Beside = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE|NAME|hf://…",
        help="Rules that every plan has beside those that are searched, such as dropout where the "
        "space has no place for it.",
    ),
]
Pruner = Annotated[
    str | None,
    typer.Option(
        "--pruner", metavar="NAME", help="Stop poor trials early: asha, hyperband or median."
    ),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=1, help="Seconds that one trial may take.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="ADDRESS",
        help="Where the study is kept: a SQLite file, journal:FILE, or "
        "postgresql://USER@HOST/DATABASE. Default: study.db in the folder of the search.",
    ),
]
SearchSeed = Annotated[int, typer.Option("--seed", min=0, help="Decides which plans are proposed.")]


def search(
    task: TaskName,
    trials: Trials = None,
    sampler: SamplerName = None,
    workers: Workers = None,
    executor: ExecutorName = "local",
    seeds_per_plan: Seeds = 1,
    space: SpaceName = "auto",
    plan: Beside = None,
    pruner: Pruner = None,
    timeout: Timeout = None,
    budget: BudgetName = "full",
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    data: DataFolder = None,
    model: ModelName = None,
    limit: Limit = None,
    precision: Precision = "no",
    retrain_seeds: RetrainSeeds = 0,
    retrain_with: RetrainWith = None,
    storage: Storage = None,
    preset: PresetName = None,
    seed: SearchSeed = 0,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Learn a dropout pattern: try plans on children of a task, and keep the best.

    A plan's score is the validation loss of a model trained under it; the test set is not looked
    at. Whatever is interrupted or killed, the same command goes on with it. Searches with other
    samplers may share a folder, and their page then shows them together. The name of a recipe that
    begins with a search makes that one; its final training takes what was found.

    Example: dropsmith search digits --trials 40

    Example: dropsmith search penn-treebank-xl/auto-dropout --data DIR
    """
    from dropsmith.cli._trials_bar import trials_bar
    from dropsmith.learn import PLAN, learn
    from dropsmith.report.numbers import LOSSES

    where = None if data is None else str(data)
    if is_recipe(task):
        decided = {"--budget": budget != "full", "--model": model, "--limit": limit, "--plan": plan}
        decided |= {"--batch-size": batch_size, "--learning-rate": learning_rate}
        decided |= {"--space": space != "auto", "--seeds-per-plan": seeds_per_plan != 1}
        proxy = recipe_search(task, preset, decided)
        found, setup = find(proxy.task, data, proxy.model), proxy.setup(where)
        setup = replace(setup, precision=precision)
        typed = _typed(task, preset, trials, sampler, pruner, precision, seed)
        trials, sampler = trials or proxy.trials, sampler or proxy.sampler
        space, seeds_per_plan = proxy.space, proxy.seeds
        name = task.replace("/", "-")
    elif preset is not None:
        raise TaskError(f"--preset is of recipes, and {task} is a task\n  {LIST}")
    else:
        found, typed, name = find(task, data, model), (), Path(task).name
        length, examples = budget_of(
            found, budget, limit, data, batch_size=batch_size, learning_rate=learning_rate
        )
        setup = _child(found, length, where, model, examples, precision, plan)
    others = rivals(found, retrain_seeds, retrain_with)
    trials, folder = trials or TRIALS, folder_of(out, f"search-{name}")
    score = f"validation {LOSSES['mse' if found.kind == 'values' else 'nll']}"
    with trials_bar(found.name, trials, score) as watch:
        searches = learn(
            setup,
            folder,
            trials=trials,
            sampler=sampler or SAMPLER,
            seeds=seeds_per_plan,
            space=space,
            seed=seed,
            executor=executor,
            workers=workers,
            pruner=pruner,
            timeout=timeout,
            storage=storage,
            typed=typed,
            progress=watch,
        )
    compared = retrained(found, setup, searches, folder, retrain_seeds, others)
    _finish(searches, compared, folder, data, as_json)
    if retrain_seeds and compared is not None and any(row.failed for row in compared.rows):
        raise typer.Exit(1)
    if is_recipe(task) and not as_json:
        print(f"To train the recipe under it: dropsmith train {task} --plan {folder / PLAN}")


def _child(
    task: "Task",
    budget: "Budget",
    data: str | None,
    model: str | None,
    limit: int | None,
    precision: str,
    beside: str | None,
) -> "Setup":
    """The run of every child, with the plan at a place beside what is searched."""
    from dropsmith.learn import child_setup
    from dropsmith.sites import Plan

    rules = None if beside is None else Plan.load(beside)
    return child_setup(
        task, budget, data=data, model=model, limit=limit, precision=precision, beside=rules
    )


def _typed(
    recipe: str,
    preset: str | None,
    trials: int | None,
    sampler: str | None,
    pruner: str | None,
    precision: str,
    seed: int,
) -> tuple[str, ...]:
    """The words that mean a recipe's search again: its name, and what was not as usual."""
    options = {
        "--preset": preset,
        "--trials": trials,
        "--sampler": sampler,
        "--pruner": pruner,
        "--precision": None if precision == "no" else precision,
        "--seed": seed or None,
    }
    given = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
    return (recipe, *given)


def _finish(
    searches: "Searches",
    compared: "Comparison | None",
    folder: Path,
    data: Path | None,
    as_json: bool,
) -> None:
    from dropsmith.cli._searches import as_object, show
    from dropsmith.report import write_search_page

    page = write_search_page(searches, folder, compared, data)
    if as_json:
        print(json.dumps(as_object(searches, compared, folder, page), indent=1))
    else:
        show(searches, compared, folder, page)
