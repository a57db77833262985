"""Pictures of a prediction: reliability diagram, risk–coverage curves, errors and deviations."""

from typing import TYPE_CHECKING, Any

from dropsmith.measures import reliability, risk_coverage
from dropsmith.report.figures import BLUE, FAINT, NARROW, QUIET, SERIES, WIDE, blank, drawing
from dropsmith.report.inline_svg import tip
from dropsmith.report.judged_prediction import JudgedPrediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 10


def reliability_figure(judged: JudgedPrediction, width: float = WIDE) -> "Figure | None":
    """How often a class was right against its probability, for each way of predicting.

    Below are the shares of inputs in each bin. None for values.
    """
    if judged.is_regression:
        return None
    across = 1 if width == NARROW else len(judged.ways)
    down = len(judged.ways) // across
    with drawing():
        figure = blank(min(width, 4.0 * across), 3.9 * down)
        ratios = [3, 1] * down
        grid = figure.subplots(2 * down, across, squeeze=False, height_ratios=ratios)
        for number, (name, prediction) in enumerate(judged.ways.items()):
            row, column = divmod(number, across)
            bars, counts = grid[2 * row][column], grid[2 * row + 1][column]
            _reliability(bars, counts, name, reliability(prediction.mean, judged.labels, BINS))
    return figure


def _reliability(panel: Any, below: Any, name: str, result: Any) -> None:
    left, width = result.edges[:-1].tolist(), 1 / BINS
    counts, total = result.counts.tolist(), int(result.counts.sum())
    panel.set_title(name, loc="left", fontweight="bold")
    panel.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
    for edge, count, right, sure in zip(
        left, counts, result.accuracy.tolist(), result.confidence.tolist(), strict=True
    ):
        if not count:
            continue
        (bar,) = panel.bar(edge, right, width, align="edge", color=BLUE, alpha=0.35, edgecolor=BLUE)
        (point,) = panel.plot(sure, right, "o", color=BLUE, markersize=4)
        text = f"{count:,} inputs: probability {sure:.3f}, right {100 * right:.1f} %"
        tip(bar, text)
        tip(point, text)
    panel.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    below.bar(left, [n / total for n in counts], width, align="edge", color=FAINT, edgecolor=QUIET)
    below.set(xlim=(0, 1), xlabel="probability of the predicted class", ylabel="share")


def risk_figure(judged: JudgedPrediction, width: float = WIDE) -> "Figure | None":
    """The error of the surest inputs against the share of inputs that is kept.

    A line for each uncertainty; dotted the best that any order of these inputs could do. None
    where the prediction has no uncertainty.
    """
    uncertainties = judged.uncertainties()
    if not uncertainties:
        return None
    with drawing():
        figure = blank(width, 3.4)
        panel = figure.subplots()
        panel.grid(visible=True, linewidth=0.6)
        for (name, unsure), colour in zip(uncertainties.items(), SERIES, strict=False):
            curve = risk_coverage(unsure, judged.wrong)
            risk = curve.risk.sqrt() if judged.is_regression else curve.risk
            (line,) = panel.plot(100 * curve.coverage, risk, color=colour, label=name)
            tip(line, f"{name}: area under the curve {curve.area:.4f}")
        best = risk_coverage(judged.wrong, judged.wrong)
        risk = best.risk.sqrt() if judged.is_regression else best.risk
        panel.plot(
            100 * best.coverage, risk, color=QUIET, linestyle=":", label="best possible order"
        )
        panel.set_xlabel("inputs that are kept (%), the surest first")
        panel.set_ylabel("RMSE of those" if judged.is_regression else "error rate of those")
        panel.set_ylim(bottom=0)
        panel.legend(frameon=False, fontsize=9)
    return figure
