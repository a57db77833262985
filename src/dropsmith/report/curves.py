"""Learning curves: validation loss by example-views, one small panel per method."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from dropsmith.compare import Comparison, Row
from dropsmith.record import Record, validation_loss, validation_loss_name
from dropsmith.report.cells import picture_name
from dropsmith.report.comparison_grids import loss_of
from dropsmith.report.figures import BLUE, FAINT, QUIET, blank, drawing
from dropsmith.report.numbers import LOSSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[np.ndarray, np.ndarray]
"""Example-views, and validation losses of shape (seeds, evaluations)."""

_ACROSS = 3


def curves_figure(comparison: Comparison) -> "Figure | None":
    """Each method's mean validation loss with the range over seeds, on the baseline's in grey.

    The horizontal axis counts example-views, forward and backward, which all methods have equally
    many of; None where no run has a curve.
    """
    curves = {row.method: curve for row in comparison.rows if (curve := curve_of(row))}
    if not curves:
        return None
    base = curves.get(comparison.baseline)
    rows = ceil(len(curves) / _ACROSS)
    with drawing():
        figure = blank(9.2, 0.5 + 2.1 * rows)
        grid = figure.subplots(rows, _ACROSS, sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat)
        for panel, (method, curve) in zip(panels, curves.items(), strict=False):
            _panel(panel, method, curve, base, comparison.baseline)
        for index in range(len(curves), len(panels)):
            panels[index].set_axis_off()
            panels[index - _ACROSS].tick_params(labelbottom=True)
        _limits(figure, curves.values())
        figure.supxlabel("example-views, forward and backward", fontsize=10)
        figure.supylabel(f"validation {LOSSES[loss_of(comparison)]}", fontsize=10)
    return figure


def run_curves_figure(records: Sequence[Record]) -> "Figure | None":
    """A line for each run's validation loss, one panel a method; None where no run has a curve."""
    by_method: dict[str, list[Curve]] = {}
    for record in records:
        if (
            curve := _curve([[step for step in record.curve if validation_loss_name(step)]])
        ) is not None:
            by_method.setdefault(str(record.config["method"]), []).append(curve)
    if not by_method:
        return None
    rows = ceil(len(by_method) / _ACROSS)
    with drawing():
        figure = blank(9.2, 0.5 + 2.1 * rows)
        panels = list(figure.subplots(rows, _ACROSS, sharey=True, squeeze=False).flat)
        for panel, (method, curves) in zip(panels, by_method.items(), strict=False):
            for curve in curves:
                _panel(panel, method, curve, None, "")
        for panel in panels[len(by_method) :]:
            panel.set_axis_off()
        _limits(figure, [curve for curves in by_method.values() for curve in curves])
        name = next(
            loss
            for record in records
            for step in record.curve
            if (loss := validation_loss_name(step))
        )
        figure.supxlabel("example-views, forward and backward", fontsize=10)
        figure.supylabel(f"validation {LOSSES[name]}", fontsize=10)
    return figure


def curve_of(row: Row) -> Curve | None:
    """The validation losses of a method's finished runs, where all were evaluated alike."""
    return _curve(
        [[step for step in run.curve if validation_loss_name(step)] for run in row.finished_records]
    )


def _curve(curves: Sequence[Sequence[Mapping[str, float]]]) -> Curve | None:
    length = min((len(curve) for curve in curves), default=0)
    if not length:
        return None
    views = np.array([step["views"] for step in curves[0][:length]])
    losses = np.array([[validation_loss(step) for step in run[:length]] for run in curves])
    return views, losses


def _panel(panel: Any, method: str, curve: Curve, base: Curve | None, baseline: str) -> None:
    panel.set_title(picture_name(method), loc="left", fontweight="bold")
    panel.grid(visible=True, linewidth=0.6)
    if base is not None and method != baseline:
        panel.plot(base[0], base[1].mean(axis=0), color=QUIET, linewidth=1.2, linestyle="--")
        _name(panel, base, baseline)
    views, losses = curve
    panel.fill_between(
        views, losses.min(axis=0), losses.max(axis=0), color=BLUE, alpha=0.2, linewidth=0
    )
    panel.plot(views, losses.mean(axis=0), color=BLUE, linewidth=1.6)
    panel.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x else "0")


def _name(panel: Any, base: Curve, baseline: str) -> None:
    panel.text(
        0.98,
        0.95,
        f"dashed: {picture_name(baseline)}",
        color=QUIET,
        fontsize=8,
        ha="right",
        va="top",
        transform=panel.transAxes,
        bbox={"facecolor": "white", "edgecolor": FAINT, "pad": 2},
    )


def _limits(figure: "Figure", curves: Any) -> None:
    """Show where runs come to lie: the first steep fall would press everything else flat."""
    finite = [np.where(np.isfinite(losses), losses, np.nan) for _, losses in curves]
    finite = [losses for losses in finite if not np.isnan(losses).all()]
    if not finite:
        return
    lowest = min(np.nanmin(losses) for losses in finite)
    late = [losses[:, losses.shape[1] // 4 :] for losses in finite]
    levels = [np.nanmedian(part) for part in late if not np.isnan(part).all()]
    ends = [losses[:, -1] for losses in finite]
    levels += [np.nanmax(end) for end in ends if not np.isnan(end).all()]
    high = max(levels, default=lowest)
    margin = 0.08 * (high - lowest) or 0.1
    figure.axes[0].set_ylim(max(0.0, lowest - margin), high + 2 * margin)
