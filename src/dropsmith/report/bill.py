"""What each method costs: time and peak memory of a run, at equal example-views."""

from typing import TYPE_CHECKING, Any

from dropsmith.compare import Comparison
from dropsmith.compare.summary import summarise
from dropsmith.report.figures import BLUE, INK, ORANGE, blank, drawing
from dropsmith.report.numbers import megabytes, seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def bill_figure(comparison: Comparison) -> "Figure | None":
    """Bars of mean seconds and of mean peak memory per run; None where no run finished."""
    lines = [line for line in summarise(comparison) if line.seconds is not None]
    if not lines:
        return None
    names = [line.method for line in lines]
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
    panel.set_xlim(0, 1.15 * max(values) or 1)
    for height, (value, label) in enumerate(zip(values, labels, strict=True)):
        panel.text(value, height, f" {label}", va="center", color=INK, fontsize=9)
