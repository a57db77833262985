"""The price of methods with reduced cost: their costs and gains beside the method in full."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from dropsmith.compare.comparison import Comparison, Row
from dropsmith.compare.method import Setting
from dropsmith.compare.method_names import full
from dropsmith.compare.methods import METHODS
from dropsmith.compare.statistics import mean
from dropsmith.compare.summary import (
    ByMetric,
    baseline_differences,
    correct_families,
    differences,
    metrics,
)

COST_NAMES = {"seconds", "steps", "peak_memory_bytes", "example_views"}
"""The costs in a record of a run."""

CLOCKS = ("processor_seconds", "seconds")
"""The clocks of a step's time: the first that all runs have is read. Other work on the same machine
moves the time on the wall far more than a processor's own."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """One method's costs beside its gains.

    Args:
        method, setting: its name, and the setting chosen on validation.
        steps: mean number of steps of a run.
        to_baseline: a step's time as a ratio to the baseline's, on as many rows: the median over
            seeds; None where no seed has both.
        to_full: the same to the method in full; None for that itself.
        seconds: mean time of a run's steps.
        memory: mean peak memory of a run in bytes.
        gain: paired difference to the baseline, by metric, corrected among all methods.
        loss: paired difference to the method in full, by metric, corrected among all cheaper forms.
    """

    method: str
    setting: Setting
    steps: float
    to_baseline: float | None
    to_full: float | None
    seconds: float
    memory: float
    gain: ByMetric
    loss: ByMetric


def clock(comparison: Comparison) -> str:
    """The first of the `CLOCKS` that all finished runs with costs have."""
    rows = [row for row in comparison.rows if _has_costs(row)]
    records = [record for row in rows for record in row.finished_records]
    return next(name for name in CLOCKS if all(name in record.cost for record in records))


def prices(comparison: Comparison) -> tuple[Price, ...]:
    """The baseline, each method that others are cheaper forms of, and those forms after it.

    There are none where no cost is reduced, or before a run of such a method has finished.
    """
    rows, names = list(_rows(comparison)), metrics(comparison)
    if len(rows) < 2:
        return ()
    gains = baseline_differences(comparison)
    losses = correct_families(
        {row.method: differences(row, comparison.row(full(row.method)), names) for row in rows}
    )
    return tuple(_price(row, comparison, gains[row.method], losses[row.method]) for row in rows)


def _rows(comparison: Comparison) -> Iterator[Row]:
    rows = [row for row in comparison.rows if row.finished_records and _has_costs(row)]
    full_names = [name for row in rows if (name := full(row.method)) != row.method]
    yield from (row for row in rows if row.method == comparison.baseline)
    for name in (name for name in dict.fromkeys(full_names) if name in METHODS):
        yield from (row for row in rows if row.method == name)
        yield from (row for row in rows if full(row.method) == name != row.method)


def _has_costs(row: Row) -> bool:
    return all(record.cost.keys() >= COST_NAMES for record in row.finished_records)


def _price(row: Row, comparison: Comparison, gain: ByMetric, loss: ByMetric) -> Price:
    name = clock(comparison)
    baseline, complete = comparison.row(comparison.baseline), comparison.row(full(row.method))
    return Price(
        method=row.method,
        setting=row.setting,
        steps=_mean(row, "steps"),
        to_baseline=_ratio(row, baseline, name),
        to_full=_ratio(row, complete, name),
        seconds=_mean(row, name),
        memory=_mean(row, "peak_memory_bytes"),
        gain=gain,
        loss=loss,
    )


def _mean(row: Row, name: str) -> float:
    return mean(record.cost[name] for record in row.finished_records)


def _ratio(row: Row, base: Row | None, name: str) -> float | None:
    if base is None or base is row:
        return None
    times, base_times = _step_times(row, name), _step_times(base, name)
    shared = times.keys() & base_times.keys()
    return median(times[seed] / base_times[seed] for seed in shared) if shared else None


def _step_times(row: Row, name: str) -> dict[int, float]:
    return {run.config["seed"]: run.cost[name] / run.cost["steps"] for run in row.finished_records}
