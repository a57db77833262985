"""Pictures of a search: the score over trials, and what was proposed as it went on."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from dropsmith.learn import Searches, SearchRun
from dropsmith.pattern_search import Trial, Value
from dropsmith.report.cells import picture_name
from dropsmith.report.figures import FAINT, SERIES, SMALL, WIDE, WORSE, blank, drawing
from dropsmith.report.inline_svg import tip
from dropsmith.report.search_sentences import first_tries, label, score_name, spelled_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_PANELS, _WINDOWS, _MIN_PROPOSALS = 32, 10, 4
"""Panels at most, windows at most, and proposals in one at least."""

_MAX_TIPS = 300
"""Trials at most that say their score under the pointer."""


def scores_figure(searches: Searches, width: float = WIDE) -> "Figure | None":
    """Each trial's score, and the best so far of each search; None where no trial has one.

    Less is better. A trial above the picture stands at its upper edge.
    """
    scores = [trial.score for search in searches.runs for trial in search.finished]
    if not scores:
        return None
    low, high = _limits([score for score in scores if score is not None])
    with drawing():
        figure = blank(width, 3.9)
        panel = figure.subplots()
        panel.grid(visible=True, axis="y", linewidth=0.6)
        for index, search in enumerate(searches.runs):
            colour = SERIES[index % len(SERIES)]
            _trials(panel, search, colour, high, low)
            _best_so_far(panel, search, colour, picture_name(label(search, searches)))
        panel.set_ylim(low, high)
        panel.set_xlim(left=-0.5)
        panel.set_xlabel("trial")
        panel.set_ylabel(f"{score_name(searches)} (less is better)")
        panel.legend(loc="upper right", fontsize=SMALL, frameon=True, edgecolor=FAINT)
    return figure


def _limits(scores: Sequence[float]) -> tuple[float, float]:
    """From the best to where most trials lie: a few that diverged would press the rest flat."""
    best, middle, worst = min(scores), float(np.median(scores)), max(scores)
    high = min(worst, middle + 3 * (middle - best))
    margin = 0.06 * (high - best) or 0.05
    return best - 2 * margin, high + margin


def _trials(panel: Any, search: SearchRun, colour: str, high: float, low: float) -> None:
    """A dot for each score; crosses where a trial was stopped, and marks below where it failed."""
    inside = [(at(t), t.score) for t in search.finished if (t.score or 0.0) <= high]
    beyond = [(at(t), high) for t in search.finished if (t.score or 0.0) > high]
    stops = [
        (at(t), min(t.reports[-1][1], high))
        for t in search.trials
        if t.status == "stopped" and t.reports
    ]
    failures = [(at(t), low) for t in search.trials if t.status == "failed"]
    soft = {"color": colour, "alpha": 0.45, "markeredgewidth": 0}
    _marks(panel, inside, "o", markersize=5, **soft)
    for trial in search.finished[:_MAX_TIPS]:
        if (trial.score or 0.0) <= high:
            (mark,) = panel.plot(
                [at(trial)], [trial.score], ".", color=colour, alpha=0, markersize=14
            )
            tip(mark, f"trial {trial.number}: {trial.score:.4f}")
    _marks(panel, beyond, "^", markersize=7, clip_on=False, **soft)
    _marks(panel, stops, "x", color=colour, alpha=0.6, markersize=5)
    _marks(panel, failures, "v", color=WORSE, markersize=7, clip_on=False)


def _marks(panel: Any, points: Sequence[tuple[int, float | None]], shape: str, **look: Any) -> None:
    panel.plot([x for x, _ in points], [y for _, y in points], shape, **look)


def _best_so_far(panel: Any, search: SearchRun, colour: str, name: str) -> None:
    trials = sorted(search.finished, key=at)
    if not trials:
        return
    running_minimum = np.minimum.accumulate([trial.score or 0.0 for trial in trials]).tolist()
    places = [at(trial) for trial in trials]
    end = max(at(trial) for trial in search.trials)
    panel.step(
        [*places, end],
        [*running_minimum, running_minimum[-1]],
        where="post",
        color=colour,
        linewidth=1.8,
        label=f"{name}: best so far",
    )


def at(trial: Trial) -> int:
    """The place of a trial: that of its proposal, which a retry shares."""
    return trial.proposal_index


def preferred_figure(search: SearchRun, searches: Searches, width: float = WIDE) -> "Figure | None":
    """The share of each value of each choice, in windows of time from left to right.

    Of many choices, those whose shares moved most; None for a search too short to have windows.
    """
    shares = shares_over_time(search, searches)
    if not shares:
        return None
    strongest = sorted(shares, key=lambda name: -_preference(shares[name]))[:_MAX_PANELS]
    names = [name for name in shares if name in strongest]
    values = {choice.name: choice.values for choice in searches.problem.space.choices}
    across = 4 if width >= WIDE else 2
    rows = ceil(len(names) / across)
    most = max(len(values[name]) for name in names)
    with drawing():
        height = max(1.35, 0.4 + 0.17 * most)
        figure = blank(width, 0.55 + height * rows, gap=0.06, gap_below=0.09)
        panels = figure.subplots(rows, across, squeeze=False)
        windows = _windows(len(first_tries(search)))
        for panel, name in zip(panels.flat, names, strict=False):
            _heat(panel, name, values[name], shares[name], windows)
        for panel in panels.flat[len(names) :]:
            panel.set_axis_off()
        for panel in panels.flat[: len(names)]:
            panel.set_xticks([])
        figure.supxlabel(f"trials 0 to {len(first_tries(search)) - 1} →", fontsize=10)
        bar = figure.colorbar(_colours(), ax=panels, fraction=0.02, aspect=30, ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["0", "half", "all"], fontsize=SMALL)
        bar.outline.set_visible(False)
    return figure


def shares_over_time(search: SearchRun, searches: Searches) -> dict[str, np.ndarray]:
    """For each choice, the share of each of its values (rows) in each window (columns)."""
    proposals = np.array([trial.tokens for trial in first_tries(search)])
    parts = [proposals[window.start : window.stop] for window in _windows(len(proposals))]
    if not parts:
        return {}
    return {
        choice.name: np.array([_shares(part[:, index], len(choice.values)) for part in parts]).T
        for index, choice in enumerate(searches.problem.space.choices)
    }


def _windows(count: int) -> list[range]:
    """The proposals of each window, in equal parts; none where there are too few proposals."""
    windows = min(_WINDOWS, count // _MIN_PROPOSALS)
    if windows < 2:
        return []
    return [range(part[0], part[-1] + 1) for part in np.array_split(range(count), windows)]


def _shares(tokens: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(tokens, minlength=count) / len(tokens)


def _preference(shares: np.ndarray) -> float:
    """The distance of the last third of windows from even shares."""
    last = shares[:, -max(1, shares.shape[1] // 3) :].mean(axis=1)
    return float(np.abs(last - 1 / len(last)).sum())


def _heat(
    panel: Any,
    name: str,
    values: Sequence[Value],
    shares: np.ndarray,
    windows: Sequence[range],
) -> None:
    """A row of cells for each value; neighbours of equal share are one cell, which says its share.

    Each cell is a shape of its own, so that the page can show its number under the pointer.
    """
    from matplotlib.patches import Rectangle

    panel.set_xlim(0, len(windows))
    panel.set_ylim(len(values) - 0.5, -0.5)
    colours = _colours()
    for row, value in enumerate(values):
        for first, last in _runs_of_equals(shares[row]):
            share, trials = shares[row, first], range(windows[first].start, windows[last].stop)
            cell = Rectangle(
                (first, row - 0.5),
                last - first + 1,
                1,
                facecolor=colours.to_rgba(share),
                edgecolor=colours.to_rgba(share),  # else fine lines show between cells
                linewidth=0.4,
                clip_on=False,
            )
            tip(
                cell,
                f"{name} = {spelled_value(value)}: {100 * share:.0f} % of trials {trials[0]} to "
                f"{trials[-1]}",
            )
            panel.add_patch(cell)
    panel.set_yticks(
        range(len(values)),
        [picture_name(spelled_value(value), 14) for value in values],
        fontsize=SMALL,
    )
    panel.set_title(picture_name(name, 24), loc="left", fontsize=SMALL)
    panel.tick_params(length=0, pad=2)
    panel.spines[:].set_visible(False)


def _runs_of_equals(row: np.ndarray) -> list[tuple[int, int]]:
    """The first and last index of each run of equal numbers.

    >>> _runs_of_equals(np.array([0.5, 0.5, 0.25]))
    [(0, 1), (2, 2)]
    """
    starts = [0, *(int(index) + 1 for index in np.flatnonzero(np.diff(row)))]
    return list(zip(starts, [start - 1 for start in starts[1:]] + [len(row) - 1], strict=True))


def _colours() -> Any:
    """The colours of shares from 0 to 1, which are no colours of the page: dark mode keeps them."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colours = LinearSegmentedColormap.from_list("house", ["#f5f7fa", "#0a5a99"])
    return ScalarMappable(Normalize(0, 1), colours)
