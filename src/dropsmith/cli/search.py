"""`dropsmith search`: a search for a dropout plan on a task."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dropsmith.cli._children import SearchOptions, children_of
from dropsmith.cli._data_options import print_data
from dropsmith.cli._options import (
    Allow,
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
)
from dropsmith.cli._output import print_json
from dropsmith.cli._recipe import PresetName, is_recipe
from dropsmith.cli._retraining import RetrainSeeds, RetrainWith, compare_best_plans, rivals
from dropsmith.cli._search_options import (
    ExecutorName,
    ExtraPlan,
    Pruner,
    SamplerName,
    SearchSeed,
    Seeds,
    SpaceName,
    Storage,
    Timeout,
    Trials,
    Workers,
)
from dropsmith.cli._values import allow_modules, folder_of, print_precision_note

if TYPE_CHECKING:
    from dropsmith.compare import Comparison
    from dropsmith.learn import Searches
    from dropsmith.report import Place
    from dropsmith.tasks import DataOptions


def search(
    task: TaskName,
    trials: Trials = None,
    sampler: SamplerName = None,
    workers: Workers = None,
    executor: ExecutorName = "local",
    seeds_per_plan: Seeds = 1,
    space: SpaceName = "auto",
    plan: ExtraPlan = None,
    pruner: Pruner = None,
    timeout: Timeout = None,
    budget: BudgetName = "full",
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    limit: Limit = None,
    precision: Precision = "no",
    retrain_seeds: RetrainSeeds = 0,
    retrain_with: RetrainWith = None,
    storage: Storage = None,
    preset: PresetName = None,
    seed: SearchSeed = 0,
    out: Out = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Search for a dropout plan: train a task's model under many plans, and keep the best.

    The score of a plan is the validation loss of a model trained under it; the test set is not
    used. The same command continues a search that was interrupted or killed. Searches with other
    samplers may share a folder, and the page then shows them together. The name of a recipe that
    begins with a search runs that search; its final training uses the plan that was found.

    Example: dropsmith search digits --trials 40

    Example: dropsmith search penn-treebank-xl/auto-dropout --data DIR
    """
    from dropsmith.cli._trials_bar import trials_bar
    from dropsmith.learn import learn
    from dropsmith.report import LOSSES, Place

    allow_modules(allow)
    print_precision_note(precision)
    options = SearchOptions(
        task=task,
        preset=preset,
        trials=trials,
        sampler=sampler,
        pruner=pruner,
        space=space,
        seeds=seeds_per_plan,
        seed=seed,
        extra_plan=plan,
        budget=budget,
        batch_size=batch_size,
        learning_rate=learning_rate,
        data=data,
        data_options=data_options,
        model=model,
        limit=limit,
        precision=precision,
    )
    children = children_of(options)
    print_data(children.task, children.task.load(data, children.setup.limit), data, as_json)
    methods = rivals(children.task, retrain_seeds, retrain_with)
    folder = folder_of(out, f"search-{children.name}")
    loss = LOSSES["mse" if children.task.kind == "regression" else "nll"]
    with trials_bar(children.task.name, children.trials, f"validation {loss}") as watch:
        searches = learn(
            children.setup,
            folder,
            trials=children.trials,
            sampler=children.sampler,
            seeds=children.seeds,
            space=children.space,
            seed=seed,
            executor=executor,
            workers=workers,
            pruner=pruner,
            timeout=timeout,
            storage=storage,
            command_words=children.command,
            progress=watch,
        )
    setup, data_place = children.setup, _data_place(task, data)
    comparison = compare_best_plans(
        children.task, setup, searches, folder, retrain_seeds, methods, data_place
    )
    place = Place(data=data_place, folder=folder, data_options=setup.data_options)
    _finish(searches, comparison, place, setup.model, as_json)
    if (
        retrain_seeds
        and comparison is not None
        and any(row.failed_records for row in comparison.rows)
    ):
        raise typer.Exit(1)


def _data_place(task: str, data: Path | None) -> Path | None:
    """The place of the data: that of --data, or the task's own path."""
    from dropsmith.tasks import TASKS
    from dropsmith.user_code import is_reference

    is_path = task not in TASKS and not is_reference(task) and not is_recipe(task)
    return Path(task) if data is None and is_path else data


def _finish(
    searches: "Searches",
    comparison: "Comparison | None",
    place: "Place",
    model: str | None,
    as_json: bool,
) -> None:
    from dropsmith.cli._searches import as_object, show
    from dropsmith.report import write_search_page

    assert place.folder is not None
    page = write_search_page(
        searches, place.folder, comparison, place.data, model, place.data_options, place
    )
    if as_json:
        print_json(as_object(searches, comparison, place, page))
    else:
        show(searches, comparison, place, page)
