"""The comparison with a constant prediction: the commonest class, or the mean."""

from dataclasses import dataclass

from dropsmith.compare.comparison import Comparison, Row
from dropsmith.compare.statistics import Difference, difference, mean
from dropsmith.compare.summary import CONSTANT_PREFIX, ByMetric, correct_families, metrics
from dropsmith.compare.verdicts import Verdict, more_is_better, verdict

COMMONEST, MEAN = "always the commonest class", "always the mean"


@dataclass(frozen=True, kw_only=True)
class ConstantPredictor:
    """The scores of a constant prediction from the training labels, and the methods above it.

    Args:
        name: `COMMONEST` or `MEAN`.
        scores: its test scores, by the names of the methods' scores.
        better: the methods that are better in one of the scores.
    """

    name: str
    scores: dict[str, float]
    better: tuple[str, ...]

    @property
    def is_beaten(self) -> bool:
        """True if a method has learned something."""
        return bool(self.better)


def constant_predictor(comparison: Comparison) -> ConstantPredictor | None:
    """The constant predictor of a comparison; None if a record lacks its scores.

    A method is better if a difference to it is significant after Holm's correction among all
    methods. Where too few seeds, or equal differences, give no interval, its mean is.
    """
    rows = [row for row in comparison.rows if row.finished_records]
    names = [name for name in metrics(comparison) if rows and _has_constant(rows, name)]
    if not names:
        return None
    changes = correct_families({row.method: _differences(row, names) for row in rows})
    first = rows[0].finished_records[0].scores
    return ConstantPredictor(
        name=MEAN if f"{CONSTANT_PREFIX}rmse" in first else COMMONEST,
        scores={
            name: mean(run.scores[_constant(name)] for row in rows for run in row.finished_records)
            for name in names
        },
        better=tuple(
            method
            for method, by_metric in changes.items()
            if any(_is_better(name, change) for name, change in by_metric.items())
        ),
    )


def _constant(name: str) -> str:
    return name.replace("test_", CONSTANT_PREFIX, 1)


def _has_constant(rows: list[Row], name: str) -> bool:
    return all(_constant(name) in run.scores for row in rows for run in row.finished_records)


def _differences(row: Row, names: list[str]) -> ByMetric:
    pairs = {name: difference(row.scores(name), row.scores(_constant(name))) for name in names}
    return {name: change for name, change in pairs.items() if change is not None}


def _is_better(name: str, change: Difference) -> bool:
    judgement = verdict(name, change)
    if judgement is Verdict.NO_INTERVAL:
        return change.mean != 0 and (change.mean > 0) == more_is_better(name)
    return judgement is Verdict.BETTER
