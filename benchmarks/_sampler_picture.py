"""Score against trials for several samplers: medians, and bands that hold half of the searches."""

from collections.abc import Sequence

from dropsmith.pattern_search import Curves
from dropsmith.report import BETTER, BLUE, INK, ORANGE, QUIET, WORSE, blank, drawing, svg

_COLOURS = (BLUE, QUIET, ORANGE, BETTER, WORSE, INK)


def picture(curves: Sequence[Curves], best: float) -> str:
    """The picture as SVG.

    Args:
        curves: of each sampler.
        best: the best score there is.
    """
    with drawing():
        figure = blank(8.0, 4.6)
        axes = figure.subplots()
        for one, colour in zip(curves, _COLOURS, strict=False):
            trials = range(1, len(one.median) + 1)
            axes.fill_between(trials, one.at(0.25), one.at(0.75), color=colour, alpha=0.12, lw=0)
            axes.plot(trials, one.median, color=colour, lw=1.6, label=one.name)
        axes.axhline(best, color=QUIET, lw=0.8, ls=":")
        axes.annotate(
            "best plan of the table",
            (len(curves[0].median), best),
            ha="right",
            va="bottom",
            color=QUIET,
        )
        axes.set_xlabel("trials")
        axes.set_ylabel("best validation log-likelihood so far")
        axes.set_xscale("log")
        ticks = [tick for tick in (1, 3, 10, 30, 100, 300, 1000) if tick <= len(curves[0].median)]
        axes.set_xticks(ticks, labels=[str(tick) for tick in ticks])
        axes.minorticks_off()
        # The first trials of any sampler are luck; what differs is at the top.
        axes.set_ylim(bottom=min(one.at(0.25)[min(4, len(one.median) - 1)] for one in curves))
        axes.grid(visible=True, lw=0.6)
        axes.legend(loc="lower right", frameon=False)
    return svg(figure)
