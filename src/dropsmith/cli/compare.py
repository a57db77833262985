"""`dropsmith compare`: a comparison of methods on a task."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._data_options import print_data, print_unlabelled
from dropsmith.cli._options import (
    Again,
    Allow,
    AsJson,
    BatchContent,
    BatchSize,
    BudgetName,
    DataFolder,
    Labels,
    LearningRate,
    Limit,
    ModelName,
    NoiseFreeKinds,
    Out,
    Patience,
    Precision,
    SampleCount,
    StartFrom,
    TaskName,
    UnlabelledPlace,
    UnlabelledRatio,
)
from dropsmith.cli._recipe import LIST, PresetName, is_recipe
from dropsmith.cli._recipe_rows import compare_recipes, recipe_setups, with_recipes
from dropsmith.cli._single import check_setup
from dropsmith.cli._values import (
    allow_modules,
    budget_of,
    find,
    folder_of,
    kinds,
    named_plans,
    print_precision_note,
    rates_of,
    rules_of,
    start_of,
)
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.compare import Comparison, Design
    from dropsmith.report import Place
    from dropsmith.tasks import DataOptions

With = Annotated[
    str | None,
    typer.Option(
        "--with",
        metavar="METHOD,METHOD,…",
        help="The methods to compare: none, dropout, spatial, blocks, locked, gaussian, words, "
        "path, weights, variational, variational-untied, naive, awd, early, late, linear, "
        "two-sample, fraternal, pi, expectation-linear, r-drop, lr-drop; with --labels or "
        "--unlabelled also pi-unlabelled, fraternal-unlabelled, r-drop-unlabelled, uda, fixmatch; "
        "or myfile:NAME, a method "
        "or an objective in a file of your own. To make the second view of a consistency method "
        "cheaper: r-drop+every-4, r-drop+share-0.5, r-drop+trunk. "
        "Default: those that suit the task.",
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", help="The number of seeds that are reported.")]
EqualRules = Annotated[
    str,
    typer.Option(
        "--equal",
        metavar="views|updates|converged|both",
        help="What all methods have equally much of. views: example-views, so a method of two "
        "passes makes half as many steps. updates: steps of the optimiser, so a method of two "
        "passes costs twice as much. converged: each run ends when validation has stopped "
        "improving. both: views and updates, each in a folder of its own.",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        help="The number of settings that each method tries on validation. Default: 3, or as many "
        "as --rates or --learning-rates.",
    ),
]
Rates = Annotated[
    str | None,
    typer.Option(
        "--rates",
        metavar="RATE,…",
        help="The rates that every method with noise tries, in place of the usual ones: as many as "
        "there are trials.",
    ),
]
LearningRates = Annotated[
    str | None,
    typer.Option(
        "--learning-rates",
        metavar="NUMBER,…",
        help="The learning rates of the trials of every method, in place of the task's: one for "
        "each trial.",
    ),
]
TuningSeeds = Annotated[
    int,
    typer.Option(
        "--tuning-seeds", help="The number of seeds on which each of these settings is tried."
    ),
]
SamplesOf = Annotated[
    str | None,
    typer.Option(
        "--samples-of",
        metavar="METHOD,…",
        help="Take samples of these methods alone. Default: of all methods.",
    ),
]
Plans = Annotated[
    list[str] | None,
    typer.Option(
        "--plan",
        metavar="NAME=SOURCE",
        help="A plan as one more row, called NAME: its file, the record of a run with it, the "
        "name of one that was learned here, or hf://USER/REPO/plan.json. It may be given again.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        help="The number of runs at the same time. Default: one for each processor.",
    ),
]


def compare(
    task: TaskName,
    with_: With = None,
    seeds: Seeds = 3,
    budget: BudgetName = "full",
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    batches: BatchContent = "random",
    equal: EqualRules = "views",
    patience: Patience = None,
    trials: Trials = None,
    rates: Rates = None,
    learning_rates: LearningRates = None,
    tuning_seeds: TuningSeeds = 1,
    data: DataFolder = None,
    data_options: "DataOptions | None" = None,
    model: ModelName = None,
    limit: Limit = None,
    labels: Labels = None,
    unlabelled: UnlabelledPlace = None,
    unlabelled_ratio: UnlabelledRatio = 1,
    precision: Precision = "no",
    samples: SampleCount = 0,
    samples_without: NoiseFreeKinds = None,
    samples_of: SamplesOf = None,
    plans: Plans = None,
    start: StartFrom = None,
    processes: Processes = None,
    preset: PresetName = None,
    again: Again = False,
    out: Out = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """Compare methods with equal budgets, and write records and a page.

    Every method has equally many forward passes over examples; with --equal updates every method
    makes equally many steps, with --equal converged it is trained until it converges, and --equal
    both makes the first two comparisons, which share the runs that are the same. Each method tries
    equally many settings on validation examples, with seeds that are not reported; the table then
    has the scores on the test set over new seeds. With a method that has a consistency term, the
    two-sample control is added: the same passes without that term. Runs that are on disk are not
    trained again, so the same command continues an interrupted comparison. The last paragraph says
    which method to use, how sure that is, what it costs, and the command that trains its model.

    Recipes of one task, separated by commas, are compared as they are, without tuning.

    Example: dropsmith compare digits --with none,dropout,fraternal,r-drop --seeds 5

    Example: dropsmith compare digits --with dropout,r-drop --equal both

    Example: dropsmith compare digits --labels 100 --with dropout,pi-unlabelled,uda

    Example: dropsmith compare sst2/bert-base,sst2/bert-base-r-drop --data DIR --seeds 3
    """
    from dropsmith.compare import PATIENCE, Comparison, Design, check, pick, share_runs, usual
    from dropsmith.report import Place
    from dropsmith.tasks import TASKS
    from dropsmith.train import task_and_data
    from dropsmith.user_code import is_reference

    allow_modules(allow)
    print_precision_note(precision)
    if is_recipe(task.partition(",")[0]):
        names = [name.strip() for name in task.split(",")]
        folder = folder_of(out, names[0].partition("/")[0])
        groups = recipe_setups(
            names,
            preset,
            seeds,
            data=data,
            data_options=data_options,
            limit=limit,
            precision=precision,
            plan=None,
            folder=folder,
            fixed_options={
                "--with": with_,
                "--budget": budget != "full",
                "--batch-size": batch_size,
                "--learning-rate": learning_rate,
                "--batches": batches != "random",
                "--equal": equal != "views",
                "--patience": patience,
                "--trials": trials,
                "--rates": rates,
                "--learning-rates": learning_rates,
                "--tuning-seeds": tuning_seeds != 1,
                "--model": model,
                "--samples": samples,
                "--samples-without": samples_without,
                "--samples-of": samples_of,
                "--plan": plans,
                "--start": start,
                "--labels": labels,
                "--unlabelled": unlabelled,
                "--unlabelled-ratio": unlabelled_ratio != 1,
            },
        )
        for group in groups:
            check_setup(group[0])
        comparison = compare_recipes(groups, folder, processes, again)
        recipe_run = groups[0][0]
        recipe_data = None if recipe_run.data is None else Path(recipe_run.data)
        place = Place(data=recipe_data, folder=folder, data_options=recipe_run.data_options)
        _finish({folder: comparison}, with_recipes(place, comparison), recipe_run.model, as_json)
        return
    if preset is not None:
        raise TaskError(f"--preset belongs to recipes, and {task} is a task\n  {LIST}")
    comparison_task = find(task, data, model, data_options)
    length, examples = budget_of(
        comparison_task,
        budget,
        limit,
        data,
        batch_size=batch_size,
        learning_rate=learning_rate,
        batches=batches,
    )
    names = usual(comparison_task) if with_ is None else tuple(with_.split(","))
    plans_by_name = named_plans(plans or [])
    rate_values = rates_of(rates)
    learning_rate_values = rates_of(learning_rates, "learning rates")
    if learning_rate is not None and learning_rate_values:
        raise TaskError(
            "--learning-rate and --learning-rates both say how fast every method learns\n"
            "  give one of them"
        )
    rules = rules_of(equal, patience)
    design = Design(
        task=comparison_task,
        methods=(*pick(names, comparison_task), *(name for name, _ in plans_by_name)),
        seeds=seeds,
        trials=trials if trials is not None else len(rate_values) or len(learning_rate_values) or 3,
        rates=rate_values,
        learning_rates=learning_rate_values,
        tuning_seeds=tuning_seeds,
        budget=length,
        data=None if data is None else str(data),
        model=model,
        limit=examples,
        precision=precision,
        samples=samples,
        samples_without=kinds(samples_without),
        samples_of=tuple(samples_of.split(",")) if samples_of else (),
        plans=plans_by_name,
        start=start_of(start),
        equal=rules[0],
        patience=patience or PATIENCE,
        labels=labels,
        unlabelled=None if unlabelled is None else str(unlabelled),
        unlabelled_ratio=unlabelled_ratio,
    )
    check(design)
    first = design.setup(design.methods[0], design.settings(design.methods[0])[0], seed=0)
    print_data(comparison_task, comparison_task.load(data, first.limit_of_data), data, as_json)
    if first.has_unlabelled:
        print_unlabelled(task_and_data(first)[1], as_json)
    folder = folder_of(out, task)
    is_path = task not in TASKS and not is_reference(comparison_task.name)
    data_place = data or (Path(task) if is_path else None)
    folders = [folder] if len(rules) == 1 else [folder / rule for rule in rules]
    comparisons: dict[Path, Comparison] = {}
    for rule, place_of_rule in zip(rules, folders, strict=True):
        for other, comparison in comparisons.items():
            if not again:
                share_runs(comparison, other, place_of_rule)
        comparisons[place_of_rule] = _run(
            replace(design, equal=rule), place_of_rule, processes, again
        )
    place = Place(data=data_place, folder=folder, data_options=comparison_task.data_options)
    _finish(comparisons, place, model, as_json)


def _finish(
    comparisons: "dict[Path, Comparison]", place: "Place", model: str | None, as_json: bool
) -> None:
    """Write each page, print the tables and the answers, and exit with 1 if a run failed.

    Args:
        comparisons: by their folders; several are of one design under several budget rules.
        place: of the first; the folder is each comparison's own.
        model: the name of the user's own model.
        as_json: whether to print JSON alone: an object, or one for each budget rule by its name.
    """
    from dropsmith.cli._output import as_object, print_json, show
    from dropsmith.report import write_page

    objects: dict[str, Any] = {}
    for folder, comparison in comparisons.items():
        where = replace(place, folder=folder)
        page = write_page(comparison, folder, place.data, model, place.data_options, where)
        if as_json and len(comparisons) > 1:
            objects[comparison.equal] = as_object(comparison, page, where)
        else:
            show(comparison, page, as_json, where)
    if objects:
        print_json(objects)
    if any(row.failed_records for each in comparisons.values() for row in each.rows):
        raise typer.Exit(1)


def _run(design: "Design", folder: Path, processes: int | None, again: bool) -> "Comparison":
    from dropsmith.cli._progress import runs_bar
    from dropsmith.compare import compare, count

    with runs_bar(design.task.name, count(design)) as watch:
        return compare(design, folder, processes=processes, watch=watch, again=again)
