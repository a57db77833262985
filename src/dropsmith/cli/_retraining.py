"""The comparison after a search: its best plan with other methods, on the test set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.compare import Comparison
    from dropsmith.learn import Searches
    from dropsmith.tasks import Task
    from dropsmith.train import Setup

_USUAL = ("none", "dropout")
"""The default methods that the best plan is compared with."""

FINALISTS = 3
"""The number of best plans to choose from with new seeds: that of other methods' settings."""

RetrainSeeds = Annotated[
    int,
    typer.Option(
        "--retrain-seeds",
        min=0,
        help="Afterwards choose among the three best plans on seeds that the search has not seen, "
        "and compare the one chosen with other methods, each tuned, on the test set, with this "
        "many seeds; 0 for no comparison.",
    ),
]
RetrainWith = Annotated[
    str | None,
    typer.Option(
        "--retrain-with",
        metavar="METHOD,METHOD,…",
        help="These methods, as in compare --with. Default: none,dropout.",
    ),
]


def rivals(task: "Task", seeds: int, methods: str | None) -> tuple[str, ...]:
    """The methods that the best plan is compared with, checked before the search."""
    from dropsmith.compare import METHODS, pick

    if methods is None:
        return tuple(name for name in _USUAL if METHODS[name].fits(task))
    if not seeds:
        raise TaskError(
            f"--retrain-with {methods} has no effect without a comparison\n"
            "  give its number of seeds: --retrain-seeds 3"
        )
    return pick(methods.split(","), task)


def compare_best_plans(
    task: "Task",
    setup: "Setup",
    searches: "Searches",
    folder: Path,
    seeds: int,
    methods: tuple[str, ...],
    data: Path | None,
) -> "Comparison | None":
    """Compare the best plan, chosen with new seeds, with other methods on the test set.

    The chosen plan is then the one in the folder of the search.

    Args:
        task, setup: of the search.
        searches: of the folder.
        folder: of the search.
        seeds: of each method; 0 for no new comparison.
        methods: that the plan is compared with.
        data: the place of the data, for the page.
    """
    from dropsmith.cli._progress import runs_bar
    from dropsmith.cli._searches import retraining_comparison
    from dropsmith.compare import Design, compare, count
    from dropsmith.learn import LEARNED, PLAN, RETRAINED
    from dropsmith.report import write_page
    from dropsmith.train import plan_of

    if not seeds:
        return retraining_comparison(folder)
    design = Design(
        task=task,
        methods=(*methods, LEARNED),
        plans=((LEARNED, searches.finalists(FINALISTS)),),
        plans_seen=searches.problem.seeds,
        seeds=seeds,
        budget=setup.budget,
        data=setup.data,
        model=setup.model,
        limit=setup.limit,
        precision=setup.precision,
    )
    with runs_bar(f"{task.name}, retrained", count(design), advice="") as watch:
        comparison = compare(design, folder / RETRAINED, watch=watch)
    row = comparison.row(LEARNED)
    if row is not None:
        plan_of(row.records[0]).save(folder / PLAN)
    write_page(comparison, folder / RETRAINED, data, setup.model, setup.data_options)
    return comparison
