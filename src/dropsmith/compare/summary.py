"""The numbers of a comparison's table, from its records and nothing else."""

from dataclasses import dataclass, field
from statistics import fmean

from dropsmith.compare._method import Setting
from dropsmith.compare.comparison import Comparison, Row
from dropsmith.compare.methods import CONTROL, METHODS
from dropsmith.compare.statistics import Difference, Spread, corrected, difference

METRICS = ("test_accuracy", "test_nll")
"""What is compared: likelihood stands beside accuracy."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One method's numbers; those that cannot be had are left out of the mappings.

    Args:
        method, setting: its name, and the setting chosen on validation.
        runs, finished: how many seeds were asked for, and how many reached their end.
        spread: mean and deviation over seeds, by metric.
        to_baseline: paired difference to the comparison's baseline, by metric.
        p: its Holm-corrected p-value among all methods, by metric, from eight seeds.
        to_control: for two-view methods, paired difference to the two-sample control, by metric.
        seconds: mean time of a run.
        memory: mean peak memory of a run in bytes.
        views: example-views of a run, forward and backward.
    """

    method: str
    setting: Setting
    runs: int
    finished: int
    spread: dict[str, Spread]
    to_baseline: dict[str, Difference]
    p: dict[str, float] = field(default_factory=dict)
    to_control: dict[str, Difference] = field(default_factory=dict)
    seconds: float | None = None
    memory: float | None = None
    views: float | None = None


def metrics(comparison: Comparison) -> tuple[str, ...]:
    """What this comparison is judged by: language models add their perplexity."""
    finished = [record for row in comparison.rows for record in row.finished]
    spoken = finished and all("test_perplexity" in record.scores for record in finished)
    return (*METRICS, "test_perplexity") if spoken else METRICS


def summarise(comparison: Comparison) -> tuple[Line, ...]:
    """One line per method, in order."""
    names = metrics(comparison)
    baseline = comparison.row(comparison.baseline)
    control = comparison.row(CONTROL)
    to_baseline = {row.method: _between(row, baseline, names) for row in comparison.rows}
    p = {name: _family(to_baseline, name) for name in names}
    return tuple(
        Line(
            method=row.method,
            setting=row.setting,
            runs=len(row.records),
            finished=len(row.finished),
            spread=_spread(row, names),
            to_baseline=to_baseline[row.method],
            p={name: p[name][row.method] for name in names if row.method in p[name]},
            to_control=_between(row, control, names) if _doubled(row.method) else {},
            seconds=_cost(row, "seconds"),
            memory=_cost(row, "peak_memory_bytes"),
            views=_cost(row, "example_views"),
        )
        for row in comparison.rows
    )


def _doubled(method: str) -> bool:
    return method != CONTROL and method in METHODS and METHODS[method].views > 1


def _spread(row: Row, names: tuple[str, ...]) -> dict[str, Spread]:
    return {name: Spread.of(list(row.scores(name).values())) for name in names if row.finished}


def _between(row: Row, other: Row | None, names: tuple[str, ...]) -> dict[str, Difference]:
    if other is None or row is other:
        return {}
    found = {name: difference(row.scores(name), other.scores(name)) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _family(differences: dict[str, dict[str, Difference]], name: str) -> dict[str, float]:
    return corrected({method: found[name] for method, found in differences.items() if found})


def _cost(row: Row, name: str) -> float | None:
    values = [record.cost[name] for record in row.finished if name in record.cost]
    return fmean(values) if values else None
