"""Figures of a comparison: differences with their intervals and seeds, and the cost of a run."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from dropsmith.compare import (
    Comparison,
    Difference,
    Line,
    Verdict,
    clock,
    mean,
    metrics,
    more_is_better,
    summarise,
    verdict,
)
from dropsmith.report.cells import picture_name
from dropsmith.report.figures import (
    BETTER,
    BLUE,
    INK,
    ORANGE,
    QUIET,
    SMALL,
    WIDE,
    WORSE,
    blank,
    drawing,
)
from dropsmith.report.inline_svg import tip
from dropsmith.report.numbers import METRICS, megabytes, seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PANELS = 2
"""The most metrics that are shown of those a comparison is judged by."""


_COLOURS = {Verdict.BETTER: BETTER, Verdict.WORSE: WORSE}


def forest_figure(comparison: Comparison, width: float = WIDE) -> "Figure | None":
    """One panel per metric: each method's paired difference to the baseline, 95 % interval, seeds.

    None where there is nothing to compare. The panels stand below each other where the picture is
    narrow.
    """
    lines = [line for line in summarise(comparison) if line.to_baseline]
    if not lines:
        return None
    names = metrics(comparison)[:PANELS]
    rows, columns = (1, len(names)) if width >= WIDE else (len(names), 1)
    with drawing():
        figure = blank(width, rows * (1.1 + 0.42 * len(lines)) + 0.4, gap=0.08, gap_below=0.06)
        grid = figure.subplots(rows, columns, sharey="row", squeeze=False)
        for panel, name in zip(grid.flat, names, strict=True):
            _panel(panel, name, lines, comparison)
        for panel in grid[:, 0]:
            panel.set_yticks(range(len(lines)), [picture_name(line.method) for line in lines])
            panel.invert_yaxis()
    return figure


def _panel(panel: Any, name: str, lines: Sequence[Line], comparison: Comparison) -> None:
    metric = METRICS[name]
    panel.axvline(0, color=INK, linewidth=1)
    panel.grid(visible=True, axis="x", linewidth=0.6)
    panel.tick_params(axis="y", length=0)
    for height, line in enumerate(lines):
        _line(panel, name, height, line.method, line.to_baseline[name])
        _seeds(panel, name, height, line.method, comparison)
    unit = " (points)" if metric.unit else ""
    panel.set_xlabel(f"Δ {metric.label}{unit} to {picture_name(comparison.baseline, 14)}")
    more = more_is_better(name)
    good = "better →" if more else "← better"
    panel.set_title(good, loc="right" if more else "left", color=QUIET, fontsize=SMALL)


def _line(panel: Any, name: str, height: int, method: str, change: Difference) -> None:
    metric = METRICS[name]
    judgement = verdict(name, change)
    colour = _COLOURS.get(judgement, INK)
    if change.low is not None and change.high is not None:
        ends = [metric.scale * change.low, metric.scale * change.high]
        panel.plot(ends, [height, height], color=colour, linewidth=2, solid_capstyle="butt")
    shape = "D" if judgement.is_significant else "o"
    (mark,) = panel.plot(
        [metric.scale * change.mean],
        [height],
        shape,
        color=colour,
        markersize=7,
        zorder=3,
        markeredgecolor="white",
    )
    numbers = f"{metric.change(change.mean)} {metric.interval(change)}"
    tip(mark, f"{picture_name(method)}: {numbers}, {judgement.value}")


def _seeds(panel: Any, name: str, height: int, method: str, comparison: Comparison) -> None:
    row, base = comparison.row(method), comparison.row(comparison.baseline)
    assert row is not None
    assert base is not None
    scores, base_scores = row.scores(name), base.scores(name)
    steps = [
        METRICS[name].scale * (scores[s] - base_scores[s])
        for s in scores.keys() & base_scores.keys()
    ]
    heights = [height + 0.27] * len(steps)
    panel.plot(steps, heights, "|", color=QUIET, markersize=6, zorder=2, markeredgewidth=1)


def cost_figure(comparison: Comparison, width: float = WIDE) -> "Figure | None":
    """Bars of mean seconds and of mean peak memory per run; None where no run finished."""
    lines = [line for line in summarise(comparison) if line.seconds is not None]
    if not lines:
        return None
    names = [picture_name(line.method) for line in lines]
    with drawing():
        rows, columns = (1, 2) if width >= WIDE else (2, 1)
        figure = blank(width, rows * (0.9 + 0.36 * len(lines)) + 0.2)
        grid = figure.subplots(rows, columns, sharey="row", squeeze=False)
        time, memory = grid.flat
        times = [line.seconds or 0.0 for line in lines]
        sizes = [line.memory or 0.0 for line in lines]
        _bars(time, times, [seconds(value) for value in times], BLUE)
        _bars(memory, sizes, [megabytes(value) for value in sizes], ORANGE)
        time.set_xlabel("seconds a run, mean over seeds")
        memory.set_xlabel("peak memory of the process, MB")
        memory.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
        for panel in grid[:, 0]:
            panel.set_yticks(range(len(names)), names)
            panel.invert_yaxis()
    return figure


COSTS = {"processor_seconds": "processor time", "seconds": "time"}
"""The costs of a run, by the clock that measured them."""


def frontier_figure(comparison: Comparison, width: float = WIDE) -> "Figure | None":
    """The main score of each method against what a run costs, and the frontier.

    On the frontier are the methods that no other beats which costs no more. None where fewer than
    two methods have scores and costs.
    """
    name, by = metrics(comparison)[0], clock(comparison)
    points = {
        row.method: (
            mean(run.cost[by] for run in row.finished_records),
            METRICS[name].scale * mean(row.scores(name).values()),
        )
        for row in comparison.rows
        if row.finished_records and all(by in run.cost for run in row.finished_records)
    }
    if len(points) < 2:
        return None
    best = frontier(points, more_is_better(name))
    with drawing():
        figure = blank(width, 3.4)
        panel = figure.subplots()
        panel.grid(visible=True, linewidth=0.6)
        panel.plot(*zip(*(points[m] for m in best), strict=True), color=QUIET, linewidth=1.2)
        for method, (cost, score) in points.items():
            colour = BLUE if method in best else INK
            (mark,) = panel.plot([cost], [score], "o", color=colour, markersize=7, zorder=3)
            value = f"{METRICS[name].value(score / METRICS[name].scale)}"
            tip(mark, f"{picture_name(method)}: {value}, {seconds(cost)}")
            panel.annotate(
                picture_name(method, 16),
                (cost, score),
                xytext=(6, 5),
                textcoords="offset points",
                fontsize=SMALL,
                color=INK,
            )
        panel.margins(0.15)
        panel.set_xlabel(f"{COSTS[by]} of a run, s")
        panel.set_ylabel(METRICS[name].head)
    return figure


def frontier(points: Mapping[str, tuple[float, float]], more: bool) -> list[str]:
    """The names of the points that none beats at the same cost or less, by cost.

    >>> frontier({"a": (1, 0.5), "b": (2, 0.4), "c": (3, 0.7)}, more=True)
    ['a', 'c']

    Args:
        points: cost and score by name.
        more: whether a higher score is better.
    """
    sign = -1 if more else 1
    names: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][0], sign * points[name][1])):
        if not names or sign * points[name][1] < sign * points[names[-1]][1]:
            names.append(name)
    return names


def _bars(panel: Any, values: list[float], labels: list[str], colour: str) -> None:
    bars = panel.barh(range(len(values)), values, color=colour, height=0.62)
    for bar, label in zip(bars, labels, strict=True):
        tip(bar, label)
    panel.tick_params(axis="y", length=0)
    panel.set_xlim(0, 1.25 * max(filter(isfinite, values), default=1.0) or 1)
    for height, (value, label) in enumerate(zip(values, labels, strict=True)):
        panel.text(value, height, f" {label}", va="center", color=INK, fontsize=SMALL)
