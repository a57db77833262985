"""Draw the picture of a measured gain in the README from the records in results/.

    python docs/gain.py

Every dot is the test accuracy of one seed, every bar the mean over seeds.
"""

from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from dropsmith.compare import Comparison

ROOT = Path(__file__).parent.parent
METHODS = ("none", "dropout", "words", "two-sample", "fraternal", "r-drop", "lr-drop")
NAMES = {
    "none": "no dropout",
    "dropout": "dropout",
    "words": "word dropout",
    "two-sample": "two passes, no consistency term",
    "fraternal": "Fraternal Dropout",
    "r-drop": "R-Drop",
    "lr-drop": "LR-Drop",
}


def points(folder: Path) -> dict[str, list[float]]:
    """Test accuracies in per cent of the finished seeds of each method.

    Args:
        folder: a folder with `comparison.json` and its records.
    """
    comparison = Comparison.load(folder)
    rows = {row.method: row for row in comparison.rows}
    return {
        method: [100 * record.scores["test_accuracy"] for record in rows[method].finished_records]
        for method in METHODS
    }


def draw(accuracies: dict[str, list[float]]) -> Figure:
    """One line a method: its seeds as dots and their mean as a bar.

    Args:
        accuracies: test accuracies in per cent, by method.
    """
    figure = Figure(figsize=(7.2, 3.0), dpi=160, layout="constrained")
    axes = figure.subplots()
    for line, (method, values) in enumerate(reversed(accuracies.items())):
        colour = "#0072b2" if method in ("r-drop", "lr-drop") else "#8a8a8a"
        axes.plot(values, [line] * len(values), "o", color=colour, markersize=6, alpha=0.8)
        axes.plot([fmean(values)] * 2, [line - 0.3, line + 0.3], color=colour, linewidth=3)
        label = f"{fmean(values):.1f}"
        axes.text(1.02, line, label, transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(accuracies)), [NAMES[method] for method in reversed(accuracies)])
    axes.set_xlabel("test accuracy on SST-2 (%), one dot per seed, bar and number: mean")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    return figure


if __name__ == "__main__":
    picture = draw(points(ROOT / "results" / "sst2"))
    picture.savefig(ROOT / "docs" / "images" / "gain.png", metadata={"Software": None})
