"""Figures of a comparison: differences with their intervals and seeds, and the cost of a run."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from dropsmith.compare import (
    Comparison,
    Difference,
    Line,
    Verdict,
    metrics,
    more_is_better,
    summarise,
    verdict,
)
from dropsmith.report.cells import picture_name
from dropsmith.report.figures import BETTER, BLUE, INK, ORANGE, QUIET, WORSE, blank, drawing
from dropsmith.report.numbers import METRICS, megabytes, seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PANELS = 2
"""The most metrics that are shown of those a comparison is judged by."""


_COLOURS = {Verdict.BETTER: BETTER, Verdict.WORSE: WORSE}


def forest_figure(comparison: Comparison) -> "Figure | None":
    """One panel per metric: each method's paired difference to the baseline, 95 % interval, seeds.

    None where there is nothing to compare.
    """
    lines = [line for line in summarise(comparison) if line.to_baseline]
    if not lines:
        return None
    names = metrics(comparison)[:PANELS]
    with drawing():
        figure = blank(9.2, 1.5 + 0.42 * len(lines), gap=0.08)
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for panel, name in zip(panels, names, strict=True):
            _panel(panel, name, lines, comparison)
        panels[0].set_yticks(range(len(lines)), [picture_name(line.method) for line in lines])
        panels[0].invert_yaxis()
    return figure


def _panel(panel: Any, name: str, lines: Sequence[Line], comparison: Comparison) -> None:
    metric = METRICS[name]
    panel.axvline(0, color=INK, linewidth=1)
    panel.grid(visible=True, axis="x", linewidth=0.6)
    panel.tick_params(axis="y", length=0)
    for height, line in enumerate(lines):
        _line(panel, name, height, line.to_baseline[name])
        _seeds(panel, name, height, line.method, comparison)
    unit = " (points)" if metric.unit else ""
    panel.set_xlabel(f"Δ {metric.label}{unit} to {picture_name(comparison.baseline)}")
    more = more_is_better(name)
    good = "better →" if more else "← better"
    panel.set_title(good, loc="right" if more else "left", color=QUIET, fontsize=9)


def _line(panel: Any, name: str, height: int, change: Difference) -> None:
    metric = METRICS[name]
    judgement = verdict(name, change)
    colour = _COLOURS.get(judgement, INK)
    if change.low is not None and change.high is not None:
        ends = [metric.scale * change.low, metric.scale * change.high]
        panel.plot(ends, [height, height], color=colour, linewidth=2, solid_capstyle="butt")
    shape = "D" if judgement.is_significant else "o"
    panel.plot(
        [metric.scale * change.mean],
        [height],
        shape,
        color=colour,
        markersize=7,
        zorder=3,
        markeredgecolor="white",
    )


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


def cost_figure(comparison: Comparison) -> "Figure | None":
    """Bars of mean seconds and of mean peak memory per run; None where no run finished."""
    lines = [line for line in summarise(comparison) if line.seconds is not None]
    if not lines:
        return None
    names = [picture_name(line.method) for line in lines]
    with drawing():
        figure = blank(9.2, 1.1 + 0.36 * len(lines))
        time, memory = figure.subplots(1, 2, sharey=True)
        times = [line.seconds or 0.0 for line in lines]
        sizes = [line.memory or 0.0 for line in lines]
        _bars(time, times, [seconds(value) for value in times], BLUE)
        _bars(memory, sizes, [megabytes(value) for value in sizes], ORANGE)
        time.set_xlabel("seconds a run, mean over seeds")
        memory.set_xlabel("peak memory of the process, MB")
        memory.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
        time.set_yticks(range(len(names)), names)
        time.invert_yaxis()
    return figure


def _bars(panel: Any, values: list[float], labels: list[str], colour: str) -> None:
    panel.barh(range(len(values)), values, color=colour, height=0.62)
    panel.tick_params(axis="y", length=0)
    panel.set_xlim(0, 1.15 * max(filter(isfinite, values), default=1.0) or 1)
    for height, (value, label) in enumerate(zip(values, labels, strict=True)):
        panel.text(value, height, f" {label}", va="center", color=INK, fontsize=9)
