"""Fill the tables in README.md and the method cards from the records in results/.

    python docs/tables.py

Text between `<!-- results: NAME -->` and `<!-- /results: NAME -->` is written by this script and
by nothing else. NAME is a folder of results (its whole table; of a search its best plans, and what
the best was worth on the test set), a method (its row of every one), a case of the benchmarks (its
newest run on each device), a file of results/search (how noisy a score is, or how soon each
sampler finds what), `monte-carlo-prediction` (what the mean of samples gave in all
comparisons), `price` (what saving on further views cost and gained in all), or `recipes` (the
published numbers of all, and those of our runs in results/recipes).
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropsmith.compare import FILE, Comparison
from dropsmith.learn import FILE as PROBLEM
from dropsmith.learn import RETRAINED, Searches
from dropsmith.report import (
    main_grid,
    markdown_table,
    plan_grid,
    price_grid,
    search_findings,
    write_between,
)
from dropsmith.report.cells import Grid, control_grid, sampled_grid
from dropsmith.report.findings import findings
from dropsmith_recipes import RECIPES
from dropsmith_recipes.table import HEADS
from dropsmith_recipes.table import row as recipe_row

ROOT = Path(__file__).parent.parent
MARKER = re.compile(r"<!-- results: ([\w-]+) -->")


def comparisons(results: Path) -> dict[str, Comparison]:
    """Every comparison in a folder of results, by the name of its own folder."""
    found = sorted(path.parent for path in results.glob("*/comparison.json"))
    return {folder.name: Comparison.load(folder) for folder in found}


def whole(comparison: Comparison) -> str:
    """A comparison's tables (rows, what the control, samples and saving add) and what it says."""
    makers = (main_grid, control_grid, sampled_grid, price_grid)
    tables = [markdown_table(grid) for make in makers if (grid := make(comparison)) is not None]
    said = "\n".join(f"- {sentence}" for sentence in findings(comparison))
    return "\n" + "\n\n".join([*tables, said]) + "\n"


def of_method(method: str, known: dict[str, Comparison]) -> str:
    """A method's row beside the baseline and the control, in every comparison that has it."""
    parts = [
        f"`results/{name}`:\n\n"
        + markdown_table(_rows(main_grid(found), (found.baseline, "two-sample", method)))
        for name, found in known.items()
        if found.row(method) is not None
    ]
    return "\n" + ("\n\n".join(parts) or "Not run yet.") + "\n"


def of_all(known: dict[str, Comparison], make: Callable[[Comparison], Grid | None]) -> str:
    """One kind of table of every comparison that has it."""
    grids = {name: make(found) for name, found in known.items()}
    parts = [f"`results/{name}`:\n\n{markdown_table(g)}" for name, g in grids.items() if g]
    return "\n" + ("\n\n".join(parts) or "Not run yet.") + "\n"


def of_search(folder: Path) -> str:
    """The best plans token by token, what the search says, and the comparison afterwards."""
    searches = Searches.load(folder)
    said = "\n".join(f"- {sentence}" for sentence in search_findings(searches))
    parts = [markdown_table(plan_grid(searches)), said]
    if (folder / RETRAINED / FILE).exists():
        parts.append(whole(Comparison.load(folder / RETRAINED)).strip())
    return "\n" + "\n\n".join(parts) + "\n"


def of_noise(result: dict[str, Any]) -> str:
    """How much of a plan's score is the seed's."""
    found = result["found"]
    between, within = f"{found['between']:.4f}", f"{found['within']:.4f}"
    share, low, high = (f"{found[name]:.0%}" for name in ("share", "low", "high"))
    return (
        f"\n{found['plans']} plans of the table's space, drawn at random, {found['seeds']} seeds "
        f"each, {result['task']}; score: {result['score']}.\n\n"
        f"- From plan to plan it has a standard deviation of {between}, from seed to seed of one "
        f"plan {within}.\n"
        f"- Of the variance of a score of one seed {share} is the seed's "
        f"(95 % interval {low} to {high}).\n"
        f"- For a fifth, a score is to be averaged over {found['seeds_for_a_fifth']:.1f} seeds.\n"
    )


def of_samplers(result: dict[str, Any]) -> str:
    """When the median search of each sampler has found how much, and what random search has."""
    length = len(result["curves"][0]["bands"]["0.5"])
    after = [count for count in (10, 30, 100, 300) if count <= length]
    goals = result["needed"].items()
    head = ["sampler", *(f"after {n}" for n in after), *(f"as good as {goal}" for goal, _ in goals)]
    lines = [head, ["---", *("---:" for _ in head[1:])]]
    for one in result["curves"]:
        best = [f"{one['bands']['0.5'][n - 1]:.4f}" for n in after]
        lines += [[one["name"], *best, *(_needed(goal[one["name"]]) for _, goal in goals)]]
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    said = (
        f"Medians of {result['curves'][0]['searches']} searches of {length} trials each over a "
        f"table of {result['plans']} plans; score: {result['score']}, at best "
        f"{result['scores']['best']:.4f}. On the right: the trials until the median search has "
        "what that of the named one has after all of its own, and how many searches have it."
    )
    return f"\n{rows}\n\n{said}\n"


def _needed(goal: dict[str, Any]) -> str:
    trials = "never" if goal["median"] is None else goal["median"]
    return f"{trials} ({goal['searches_that_did']})"


SEARCHED = {"dropsmith.score-noise": of_noise, "dropsmith.samplers": of_samplers}


def _rows(grid: Grid, names: tuple[str, ...]) -> Grid:
    return Grid(grid.caption, grid.heads, tuple(row for row in grid.rows if row[0].text in names))


def of_recipes(folder: Path) -> str:
    """The published numbers of every recipe, and those of its records in a folder."""
    lines = [HEADS, ["---"] * len(HEADS)]
    lines += [recipe_row(recipe, folder) for recipe in RECIPES.values()]
    return "\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def benchmarks(results: Path) -> dict[str, list[dict[str, Any]]]:
    """The newest run on each device of every case."""
    runs = [json.loads(path.read_text()) for path in results.glob("benchmarks/*.json")]
    newest = {}
    for run in sorted(runs, key=lambda run: run["time"]):
        newest[run["case"], run["environment"]["device"]] = run
    cases: dict[str, list[dict[str, Any]]] = {}
    for (case, _), run in sorted(newest.items()):
        cases.setdefault(case, []).append(run)
    return cases


def of_benchmark(runs: list[dict[str, Any]]) -> str:
    """Times of every way as ratios within one run, with the peak memory of each."""
    return "\n" + "\n\n".join(map(_run, runs)) + "\n"


def _run(run: dict[str, Any]) -> str:
    where = run["environment"]
    head = ["work", "way", "time as a ratio", "asked", "peak memory (MB)"]
    lines = [head, ["---", "---", "---:", "---:", "---:"]]
    for one in run["comparisons"]:
        lines += [[one["key"], *_way(way)] for way in one["ways"]]
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    chip, count = where["gpu"] or where["cpu"], run["rounds"]
    clock = " of CPU time" if run.get("clock") == "cpu" else ""
    said = f"Medians of {count} rounds{clock}, {chip}, torch {where['torch']}, {run['time'][:10]}"
    return f"{rows}\n\n{said}; made by `python -m benchmarks.{run['case']}`."


def _way(way: dict[str, Any]) -> list[str]:
    asked = "" if way["target"] is None else f"≤ {way['target']:g}"
    missed = bool(asked) and way["ratio"] > way["target"]
    ratio = f"{way['ratio']:.2f}" + (" (missed)" if missed else "")
    return [way["name"], ratio, asked, f"{way['peak_bytes'] / 1e6:.1f}"]


def fill(root: Path, results: Path) -> list[Path]:
    """Write every generated block below `root`; return the files that have one."""
    known = comparisons(results)
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    filled = [page for page in pages if page.exists() and MARKER.search(page.read_text())]
    for page in filled:
        for name in MARKER.findall(page.read_text()):
            text = _text(name, known, results)
            write_between(page, f"results: {name}", text)
    return filled


def _text(name: str, known: dict[str, Comparison], results: Path) -> str:
    if name == "recipes":
        return of_recipes(results / "recipes")
    if name == "monte-carlo-prediction":
        return of_all(known, sampled_grid)
    if name == "price":
        return of_all(known, price_grid)
    if measured := benchmarks(results).get(name):
        return of_benchmark(measured)
    if (path := results / "search" / f"{name}.json").exists():
        result = json.loads(path.read_text())
        return SEARCHED[result["format"]](result)
    if (results / name / PROBLEM).exists():
        return of_search(results / name)
    return whole(known[name]) if name in known else of_method(name, known)


if __name__ == "__main__":
    for path in fill(ROOT, ROOT / "results"):
        print(path.relative_to(ROOT), file=sys.stderr)
