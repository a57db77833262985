"""Fill the tables in README.md and the method cards from the records in results/.

    python docs/tables.py

Text between `<!-- results: NAME -->` and `<!-- /results: NAME -->` is written by this script and
by nothing else. NAME is a folder of results (its whole table; of a search its best plans, and what
the best was worth on the test set), a method (its row of every one), a benchmark (its newest run on
each device; see `measured.py`), `monte-carlo-prediction` (what the mean of samples gave in all
comparisons), `claims` (the claims of the papers, and what the records show), `price` (what saving
on further views cost and gained in all), or `recipes` (the published numbers of all, and those of
our runs in results/recipes).
"""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from claims import claims_page
from measured import measured

from dropsmith.compare import FILE, Comparison
from dropsmith.learn import FILE as PROBLEM
from dropsmith.learn import RETRAINED, Searches
from dropsmith.report import (
    Grid,
    control_grid,
    findings,
    main_grid,
    markdown_table,
    plan_grid,
    price_grid,
    sampled_grid,
    search_findings,
    write_between,
)
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


def _rows(grid: Grid, names: tuple[str, ...]) -> Grid:
    return Grid(grid.caption, grid.heads, tuple(row for row in grid.rows if row[0].text in names))


def of_recipes(folder: Path) -> str:
    """The published numbers of every recipe, and those of its records in a folder."""
    lines = [HEADS, ["---"] * len(HEADS)]
    lines += [recipe_row(recipe, folder) for recipe in RECIPES.values()]
    return "\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def fill(root: Path, results: Path) -> list[Path]:
    """Write every generated block below `root`; return the files that have one."""
    known = comparisons(results)
    for picture in results.glob("*/*.svg"):
        # A site holds what lies in docs/ alone.
        shutil.copy(picture, root / "docs" / "images")
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    filled = [page for page in pages if page.exists() and MARKER.search(page.read_text())]
    for page in filled:
        benchmarks = measured(results, page)
        for name in MARKER.findall(page.read_text()):
            text = _text(name, known, benchmarks, results)
            write_between(page, f"results: {name}", text)
    return filled


def _text(
    name: str, known: dict[str, Comparison], benchmarks: dict[str, str], results: Path
) -> str:
    if name == "recipes":
        return of_recipes(results / "recipes")
    if name == "claims":
        return claims_page(results)
    if name == "monte-carlo-prediction":
        return of_all(known, sampled_grid)
    if name == "price":
        return of_all(known, price_grid)
    if name in benchmarks:
        return benchmarks[name]
    if (results / name / PROBLEM).exists():
        return of_search(results / name)
    return whole(known[name]) if name in known else of_method(name, known)


if __name__ == "__main__":
    for path in fill(ROOT, ROOT / "results"):
        print(path.relative_to(ROOT), file=sys.stderr)
