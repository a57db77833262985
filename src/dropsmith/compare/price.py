"""What a method that saves on its further views costs and gains, beside the method in full."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median

from dropsmith.compare._method import Setting
from dropsmith.compare.comparison import Comparison, Row
from dropsmith.compare.methods import METHODS, full
from dropsmith.compare.statistics import Difference
from dropsmith.compare.summary import differences, metrics

NEEDED = {"seconds", "steps", "peak_memory_bytes", "example_views"}
"""What a record holds of its costs, if a run made it."""

CLOCKS = ("processor_seconds", "seconds")
"""What a step's time is read from: the first that all runs have. Others' work on the same machine
moves the time on the wall far more than a processor's own."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """One method's costs beside its gains.

    Args:
        method, setting: its name, and the setting chosen on validation.
        steps: mean number of steps of a run.
        to_baseline: a step's time as a ratio to the baseline's, on as many rows: the median over
            seeds; None where no seed has both.
        to_full: the same to the method that saves nothing; None for that itself.
        seconds: mean time of a run's steps.
        memory: mean peak memory of a run in bytes.
        gain: paired difference to the baseline, by metric.
        loss: paired difference to the method that saves nothing, by metric.
    """

    method: str
    setting: Setting
    steps: float
    to_baseline: float | None
    to_full: float | None
    seconds: float
    memory: float
    gain: dict[str, Difference]
    loss: dict[str, Difference]


def clock(comparison: Comparison) -> str:
    """Which of the `CLOCKS` all finished runs have, those aside that say nothing of costs."""
    rows = [row for row in comparison.rows if _costed(row)]
    finished = [record for row in rows for record in row.finished]
    return next(name for name in CLOCKS if all(name in record.cost for record in finished))


def prices(comparison: Comparison) -> tuple[Price, ...]:
    """The baseline, each method that others are cheaper forms of, and those forms after it.

    Nothing where no method saves anything, or before a run of it has finished.
    """
    rows = list(_rows(comparison))
    return tuple(_price(row, comparison) for row in rows) if len(rows) > 1 else ()


def _rows(comparison: Comparison) -> Iterator[Row]:
    finished = [row for row in comparison.rows if row.finished and _costed(row)]
    saving = [name for row in finished if (name := full(row.method)) != row.method]
    yield from (row for row in finished if row.method == comparison.baseline)
    for name in (name for name in dict.fromkeys(saving) if name in METHODS):
        yield from (row for row in finished if row.method == name)
        yield from (row for row in finished if full(row.method) == name != row.method)


def _costed(row: Row) -> bool:
    return all(record.cost.keys() >= NEEDED for record in row.finished)


def _price(row: Row, comparison: Comparison) -> Price:
    name, names = clock(comparison), metrics(comparison)
    baseline, whole = comparison.row(comparison.baseline), comparison.row(full(row.method))
    return Price(
        method=row.method,
        setting=row.setting,
        steps=_mean(row, "steps"),
        to_baseline=_ratio(row, baseline, name),
        to_full=_ratio(row, whole, name),
        seconds=_mean(row, name),
        memory=_mean(row, "peak_memory_bytes"),
        gain=differences(row, baseline, names),
        loss=differences(row, whole, names),
    )


def _mean(row: Row, name: str) -> float:
    return fmean(record.cost[name] for record in row.finished)


def _ratio(row: Row, other: Row | None, name: str) -> float | None:
    if other is None or other is row:
        return None
    mine, yours = _of_a_step(row, name), _of_a_step(other, name)
    shared = mine.keys() & yours.keys()
    return median(mine[seed] / yours[seed] for seed in shared) if shared else None


def _of_a_step(row: Row, name: str) -> dict[int, float]:
    return {one.config["seed"]: one.cost[name] / one.cost["steps"] for one in row.finished}
