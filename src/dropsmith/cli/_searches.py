"""The output of a search: the best plans for people, or one JSON object for machines."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.cli._output import console
from dropsmith.errors import printable

if TYPE_CHECKING:
    from dropsmith.compare import Comparison
    from dropsmith.learn import Searches
    from dropsmith.report import Place


def show(searches: "Searches", comparison: "Comparison | None", place: "Place", page: Path) -> None:
    """Print the results of a folder's searches on standard output, and at the end the answer."""
    from dropsmith.learn import PLAN
    from dropsmith.report import (
        main_grid,
        plan_grid,
        rich_table,
        search_answer,
        search_findings,
        stands_for,
    )

    output = console()
    output.print(rich_table(plan_grid(searches)))
    output.print()
    for sentence in search_findings(searches):
        output.print(f"• {printable(sentence)}")
    if comparison is not None:
        output.print(rich_table(main_grid(comparison)))
        output.print(f"\n{stands_for(searches, comparison)}")
    if place.folder is not None:
        output.print(f"\nThe plan: {place.folder / PLAN}", soft_wrap=True)
    output.print(f"The page: {page.resolve().as_uri()}", soft_wrap=True)
    result = search_answer(searches, comparison, place)
    output.print(f"\n{printable(result.text)}")
    output.print(f"\n  {printable(result.command)}", soft_wrap=True)


def retraining_comparison(folder: Path) -> "Comparison | None":
    """The comparison of a search's plan on the test set; None without one."""
    from dropsmith.compare import FILE, Comparison
    from dropsmith.learn import RETRAINED

    exists = (folder / RETRAINED / FILE).exists()
    return Comparison.load(folder / RETRAINED) if exists else None


def as_object(
    searches: "Searches", comparison: "Comparison | None", place: "Place", page: Path
) -> dict[str, Any]:
    """The answer, the best plan, the counts of each search, and the paths of plan and page."""
    from dataclasses import asdict, replace

    from dropsmith.cli._output import as_object as comparison_object
    from dropsmith.learn import PLAN, RETRAINED
    from dropsmith.plans import Plan
    from dropsmith.report import search_answer

    folder = place.folder or Path()
    retrained_place = replace(place, folder=folder / RETRAINED)
    best = searches.best
    return {
        "task": searches.problem.task,
        "answer": asdict(search_answer(searches, comparison, place)),
        "score": None if best is None else best.score,
        "plan": None if best is None else Plan.load(folder / PLAN).to_json(),
        "searches": [
            {
                "sampler": run.sampler,
                "seed": run.seed,
                "trials": len(run.last_tries),
                "finished": len(run.finished),
                "stopped": run.count("stopped"),
                "failed": run.count("failed"),
                "score": None if run.best is None else run.best.score,
            }
            for run in searches.runs
        ],
        "retrained": None
        if comparison is None
        else comparison_object(comparison, page, retrained_place),
        "plan_file": str(folder / PLAN),
        "page": str(page),
    }
