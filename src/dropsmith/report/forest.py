"""Differences with their intervals, and the single seeds they rest on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dropsmith.compare import Comparison
from dropsmith.compare.statistics import Difference
from dropsmith.compare.summary import Line, metrics, summarise
from dropsmith.report.figures import BETTER, INK, QUIET, WORSE, blank, drawing
from dropsmith.report.numbers import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PANELS = 2
"""How many of the metrics a comparison is judged by are shown, at most."""


def forest_figure(comparison: Comparison) -> "Figure | None":
    """One panel per metric: each method's paired difference to the baseline, 95 % interval, seeds.

    None where there is nothing to compare.
    """
    lines = [line for line in summarise(comparison) if line.to_baseline]
    if not lines:
        return None
    shown = metrics(comparison)[:PANELS]
    with drawing():
        figure = blank(9.2, 1.5 + 0.42 * len(lines), gap=0.08)
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for panel, name in zip(panels, shown, strict=True):
            _panel(panel, name, lines, comparison)
        panels[0].set_yticks(range(len(lines)), [line.method for line in lines])
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
    panel.set_xlabel(f"Δ {metric.label}{unit} to {comparison.baseline}")
    good = "better →" if metric.more_is_better else "← better"
    panel.set_title(good, loc="right" if metric.more_is_better else "left", color=QUIET, fontsize=9)


def _line(panel: Any, name: str, height: int, found: Difference) -> None:
    metric = METRICS[name]
    colour = {"better": BETTER, "worse": WORSE, "": INK}[metric.verdict(found)]
    if found.low is not None and found.high is not None:
        ends = [metric.scale * found.low, metric.scale * found.high]
        panel.plot(ends, [height, height], color=colour, linewidth=2, solid_capstyle="butt")
    shape = "D" if found.clear else "o"
    panel.plot(
        [metric.scale * found.mean],
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
    mine, theirs = row.scores(name), base.scores(name)
    steps = [METRICS[name].scale * (mine[s] - theirs[s]) for s in mine.keys() & theirs.keys()]
    heights = [height + 0.27] * len(steps)
    panel.plot(steps, heights, "|", color=QUIET, markersize=6, zorder=2, markeredgewidth=1)
