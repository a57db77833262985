"""Learning curves: validation loss by example-views, one small panel per method."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from dropsmith.compare import Comparison, Row
from dropsmith.record import Record, validation_loss, validation_loss_name
from dropsmith.report.cells import picture_name
from dropsmith.report.comparison_grids import loss_of
from dropsmith.report.figures import (
    BLUE,
    NARROW,
    QUIET,
    WIDE,
    blank,
    drawing,
)
from dropsmith.report.inline_svg import tip
from dropsmith.report.numbers import LOSSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[np.ndarray, np.ndarray]
"""Example-views, and validation losses of shape (seeds, evaluations)."""

_PANEL_NAME = {WIDE: 30, NARROW: 17}
"""Characters of a name above a panel."""


def _across(width: float) -> int:
    return 3 if width >= WIDE else 2


def is_clipped(curves: Sequence[Curve]) -> bool:
    """True if a picture of these curves cuts off some of their values."""
    finite, limits = [losses[np.isfinite(losses)] for _, losses in curves], _limits(curves)
    return limits is not None and any((losses > limits[1]).any() for losses in finite)


def comparison_curves(comparison: Comparison) -> dict[str, Curve]:
    """Each method's curve, of the methods that were evaluated more than once."""
    curves = {row.method: curve for row in comparison.rows if (curve := curve_of(row))}
    return {method: curve for method, curve in curves.items() if len(curve[0]) > 1}


def run_curves(records: Sequence[Record]) -> dict[str, list[Curve]]:
    """The curves of runs by method, of the runs that were evaluated more than once."""
    by_method: dict[str, list[Curve]] = {}
    for record in records:
        curve = _curve([[step for step in record.curve if validation_loss_name(step)]])
        if curve is not None and len(curve[0]) > 1:
            by_method.setdefault(str(record.config["method"]), []).append(curve)
    return by_method


def curves_figure(comparison: Comparison, width: float = WIDE) -> "Figure | None":
    """Each method's mean validation loss with the range over seeds, on the baseline's in grey.

    The horizontal axis counts example-views, forward and backward; None where no run was evaluated
    more than once.
    """
    curves = comparison_curves(comparison)
    base, loss = curves.get(comparison.baseline), LOSSES[loss_of(comparison)]
    panels = {
        method: ([curve], None if method == comparison.baseline else base)
        for method, curve in curves.items()
    }
    return _figure(panels, f"validation {loss}", width)


def run_curves_figure(records: Sequence[Record], width: float = WIDE) -> "Figure | None":
    """A line for each run's validation loss, one panel a method; None where no run has a curve."""
    names = (validation_loss_name(step) for record in records for step in record.curve)
    loss = LOSSES[next(filter(None, names), "nll")]
    panels = {method: (curves, None) for method, curves in run_curves(records).items()}
    return _figure(panels, f"validation {loss}", width)


_Panel = tuple[list[Curve], Curve | None]
"""The curves of a panel, and the baseline's where it is drawn behind them."""


def _figure(by_method: Mapping[str, _Panel], label: str, width: float) -> "Figure | None":
    if not by_method:
        return None
    across = _across(width)
    rows = ceil(len(by_method) / across)
    with drawing():
        figure = blank(width, 0.5 + 2.1 * rows)
        grid = figure.subplots(rows, across, sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat)
        for panel, (method, (curves, base)) in zip(panels, by_method.items(), strict=False):
            for curve in curves:
                _panel(panel, picture_name(method, _PANEL_NAME[width]), curve, base)
        for index in range(len(by_method), len(panels)):
            panels[index].set_axis_off()
            if index >= across:
                panels[index - across].tick_params(labelbottom=True)
        if limits := _limits([curve for curves, _ in by_method.values() for curve in curves]):
            panels[0].set_ylim(*limits)
        figure.supxlabel("example-views, forward and backward", fontsize=10)
        figure.supylabel(label, fontsize=10)
    return figure


def curve_of(row: Row) -> Curve | None:
    """The validation losses of a method's finished runs, where all were evaluated alike."""
    return _curve(
        [[step for step in run.curve if validation_loss_name(step)] for run in row.finished_records]
    )


def _curve(curves: Sequence[Sequence[Mapping[str, float]]]) -> Curve | None:
    curves = [[step for step in curve if "views" in step] for curve in curves]
    length = min((len(curve) for curve in curves), default=0)
    if not length:
        return None
    views = np.array([step["views"] for step in curves[0][:length]])
    losses = np.array([[validation_loss(step) for step in run[:length]] for run in curves])
    return views, losses


def _panel(panel: Any, name: str, curve: Curve, base: Curve | None) -> None:
    panel.set_title(name, loc="left", fontweight="bold")
    panel.grid(visible=True, linewidth=0.6)
    if base is not None:
        views, losses = base
        panel.plot(views, losses.mean(axis=0), color=QUIET, linewidth=1.2, linestyle="--")
    views, losses = curve
    means = losses.mean(axis=0)
    panel.fill_between(
        views, losses.min(axis=0), losses.max(axis=0), color=BLUE, alpha=0.2, linewidth=0
    )
    (line,) = panel.plot(views, means, color=BLUE, linewidth=1.6)
    tip(line, f"{name}: lowest {means.min():.4g}, last {means[-1]:.4g}")
    panel.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x else "0")
    panel.xaxis.set_major_locator(_few_ticks())


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=3)


def _limits(curves: Iterable[Curve]) -> tuple[float, float] | None:
    """Where runs come to lie: the first steep fall would press everything else flat."""
    finite = [np.where(np.isfinite(losses), losses, np.nan) for _, losses in curves]
    finite = [losses for losses in finite if not np.isnan(losses).all()]
    if not finite:
        return None
    lowest = min(np.nanmin(losses) for losses in finite)
    late = [losses[:, losses.shape[1] // 4 :] for losses in finite]
    levels = [np.nanmedian(part) for part in late if not np.isnan(part).all()]
    ends = [losses[:, -1] for losses in finite]
    levels += [np.nanmax(end) for end in ends if not np.isnan(end).all()]
    high = max(levels, default=lowest)
    margin = 0.08 * (high - lowest) or 0.1
    return max(0.0, lowest - margin), high + 2 * margin
