"""What cheaper settings cost and gain, as a table."""

from collections.abc import Sequence
from statistics import fmean

from dropsmith.compare import Comparison, Price, prices
from dropsmith.compare.price import clock
from dropsmith.compare.summary import metrics
from dropsmith.report.cells import Cell, Grid, difference, short
from dropsmith.report.numbers import megabytes, seconds

_CLOCKS = {"processor_seconds": "processor time", "seconds": "time on the wall"}


def price_grid(comparison: Comparison) -> Grid | None:
    """Time of a step, time and memory of a run, and what it gains, of methods and cheaper forms.

    None where nothing is saved.
    """
    lines, names = prices(comparison), metrics(comparison)
    if not lines:
        return None
    base = comparison.baseline
    heads = ["method", f"a step ÷ {base}", "steps", "a run"]
    heads += [f"Δ {short(name)} to {to}" for to in (base, "full") for name in names]
    views = fmean(
        run.cost["example_views"]
        for row in comparison.rows
        for run in row.finished
        if "example_views" in run.cost
    )
    return Grid(
        f"{comparison.task}: what methods cost and gain that save on their further views, at "
        f"{views:,.0f} example-views a run; full is the same method without saving. Ratios are "
        f"of {_CLOCKS[clock(comparison)]} over as many rows, medians over seeds; differences are "
        "paired by seed, with 95 % intervals",
        tuple(heads),
        tuple(_row(line, names) for line in lines),
    )


def _row(line: Price, names: Sequence[str]) -> tuple[Cell, ...]:
    beside = "" if line.to_full is None else f"{line.to_full:.2f} ÷ full"
    return (
        Cell(line.method),
        Cell("" if line.to_baseline is None else f"{line.to_baseline:.2f}", beside),
        Cell(f"{line.steps:,.0f}"),
        Cell(seconds(line.seconds), megabytes(line.memory)),
        *(difference(name, found.get(name)) for found in (line.gain, line.loss) for name in names),
    )
