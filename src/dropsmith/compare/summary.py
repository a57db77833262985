"""The numbers of a comparison's table, from its records and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dropsmith.compare.comparison import Comparison, Row
from dropsmith.compare.method import Setting
from dropsmith.compare.methods import CONTROL, METHODS
from dropsmith.compare.statistics import Difference, Spread, correct_family, difference, mean
from dropsmith.record import Record
from dropsmith.user_code import is_reference

METRIC_SETS = (
    ("test_bleu", "test_nll"),
    ("test_bleu4", "test_bleu3", "test_bleu2", "test_bleu1", "test_nll"),
    ("test_rougel", "test_nll"),
    ("test_matthews", "test_accuracy", "test_nll"),
    ("test_f1", "test_accuracy", "test_nll"),
    ("test_pearson", "test_spearman", "test_rmse"),
    ("test_accuracy", "test_nll", "test_perplexity"),
    ("test_perplexity", "test_nll"),
    ("test_rmse", "test_r2"),
)
"""The scores compared, in the order of the table: the first line whose first score all runs have,
as far as they have the others. Likelihood stands beside accuracy, and macro F1 between them where
classes are unbalanced."""

ByMetric = dict[str, Difference]
"""The differences of a method, by metric."""

USUAL = ("test_accuracy", "test_nll")
"""The scores compared where no run has finished."""

SAMPLED_PREFIX = "test_mc_"
"""The begin of the names of scores of the mean over noisy passes; it is `test_` for one pass."""


CONSTANT_PREFIX = "test_constant_"
"""The begin of the names of test scores of always predicting the commonest class, or the mean."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One method's numbers; missing ones are left out of the mappings.

    Args:
        method, setting: its name, and the setting chosen on validation.
        runs, finished: the number of seeds, and of those that reached their end.
        spread: mean and deviation over seeds, by metric.
        to_baseline: paired difference to the comparison's baseline, by metric, its p-value
            corrected by Holm's method among all methods.
        to_control: for two-view methods, paired difference to the two-sample control, by metric,
            its p-value corrected among these methods.
        seconds: mean time of a run.
        memory: mean peak memory of a run in bytes.
        views: example-views of a run, forward and backward.
    """

    method: str
    setting: Setting
    runs: int
    finished: int
    spread: dict[str, Spread]
    to_baseline: ByMetric
    to_control: ByMetric = field(default_factory=dict)
    seconds: float | None = None
    memory: float | None = None
    views: float | None = None


def metrics(comparison: Comparison) -> tuple[str, ...]:
    """The names of the scores that a comparison is judged by: those its finished runs share."""
    scores_of_runs = [record.scores for row in comparison.rows for record in row.finished_records]
    for names in METRIC_SETS:
        shared = tuple(name for name in names if all(name in scores for scores in scores_of_runs))
        if scores_of_runs and names[0] in shared:
            return _with_macro_f1(shared, scores_of_runs)
    return USUAL


def _with_macro_f1(
    names: tuple[str, ...], scores_of_runs: Sequence[Mapping[str, float]]
) -> tuple[str, ...]:
    has_it = all("test_macro_f1" in scores for scores in scores_of_runs)
    if not (has_it and "test_accuracy" in names and _are_unbalanced(scores_of_runs[0])):
        return names
    at = names.index("test_accuracy") + 1
    return (*names[:at], "test_macro_f1", *names[at:])


UNBALANCED = 1.5
"""Classes are unbalanced if the commonest has this many times an even share of the test set."""


def _are_unbalanced(scores: Mapping[str, float]) -> bool:
    """Say so by the scores of always predicting the commonest class.

    Its accuracy is the share p of that class. Its F1 for that class is 2p / (1 + p), and 0 for the
    others, so the mean over the classes tells how many there are.
    """
    share, mean_f1 = (
        scores.get(f"{CONSTANT_PREFIX}{name}", 0.0) for name in ("accuracy", "macro_f1")
    )
    return mean_f1 > 0 and share > UNBALANCED * mean_f1 * (1 + share) / (2 * share)


@dataclass(frozen=True, kw_only=True)
class SampleAverage:
    """One method's scores by the average of noisy passes, beside its one pass without noise.

    Args:
        method: its name.
        samples: the number of passes in the average.
        without: kinds of sites without noise in these passes.
        spread: mean and deviation over seeds of the averaged scores, by metric of one pass.
        to_one_pass: paired difference to the method's one pass, by metric.
    """

    method: str
    samples: int
    without: tuple[str, ...]
    spread: dict[str, Spread]
    to_one_pass: ByMetric


def sample_averages(comparison: Comparison) -> tuple[SampleAverage, ...]:
    """A line for each method whose finished runs were scored by samples, too."""
    names = metrics(comparison)
    rows = [
        row
        for row in comparison.rows
        if row.finished_records and all(_has_samples(record) for record in row.finished_records)
    ]
    changes = correct_families(
        {
            row.method: {
                name: change
                for name in names
                if (change := difference(row.scores(sampled(name)), row.scores(name))) is not None
            }
            for row in rows
        }
    )
    return tuple(_sample_average(row, names, changes[row.method]) for row in rows)


def _has_samples(record: Record) -> bool:
    return any(name.startswith(SAMPLED_PREFIX) for name in record.scores)


def _sample_average(row: Row, names: tuple[str, ...], to_one_pass: ByMetric) -> SampleAverage:
    return SampleAverage(
        method=row.method,
        samples=row.finished_records[0].config["samples"],
        without=tuple(row.finished_records[0].config.get("samples_without", ())),
        spread={name: Spread.of(list(row.scores(sampled(name)).values())) for name in names},
        to_one_pass=to_one_pass,
    )


def sampled(name: str) -> str:
    """The name of a score of the mean over noisy passes.

    >>> sampled("test_nll")
    'test_mc_nll'
    """
    return name.replace("test_", SAMPLED_PREFIX, 1)


def summarise(comparison: Comparison) -> tuple[Line, ...]:
    """One line per method, in order."""
    names = metrics(comparison)
    control = comparison.row(CONTROL)
    to_baseline = baseline_differences(comparison)
    to_control = correct_families(
        {
            row.method: differences(row, control, names) if _has_consistency(row) else {}
            for row in comparison.rows
        }
    )
    return tuple(
        Line(
            method=row.method,
            setting=row.setting,
            runs=len(row.records),
            finished=len(row.finished_records),
            spread=_spread(row, names),
            to_baseline=to_baseline[row.method],
            to_control=to_control[row.method],
            seconds=_cost(row, "seconds"),
            memory=_cost(row, "peak_memory_bytes"),
            views=_cost(row, "example_views"),
        )
        for row in comparison.rows
    )


def baseline_differences(comparison: Comparison) -> dict[str, ByMetric]:
    """Each method's differences to the baseline, corrected among all methods."""
    names, baseline = metrics(comparison), comparison.row(comparison.baseline)
    return correct_families(
        {row.method: differences(row, baseline, names) for row in comparison.rows}
    )


def correct_families(changes: Mapping[str, ByMetric]) -> dict[str, ByMetric]:
    """The same differences, corrected by Holm's method: a family for each metric."""
    names = dict.fromkeys(name for by_metric in changes.values() for name in by_metric)
    families = {
        name: correct_family(
            {method: by_metric[name] for method, by_metric in changes.items() if name in by_metric}
        )
        for name in names
    }
    return {
        method: {name: families[name][method] for name in by_metric}
        for method, by_metric in changes.items()
    }


def _has_consistency(row: Row) -> bool:
    """True if a method trains on a consistency term, which the control has not."""
    if row.method in METHODS:
        return row.method != CONTROL and METHODS[row.method].views > 1
    name = row.records[0].config["objective"].get("objective")
    return is_reference(row.method) and name not in ("TaskLoss", "TwoSample")


def _spread(row: Row, names: tuple[str, ...]) -> dict[str, Spread]:
    return {
        name: Spread.of(list(row.scores(name).values())) for name in names if row.finished_records
    }


def differences(row: Row, base: Row | None, names: tuple[str, ...]) -> ByMetric:
    """Paired differences of one method to another, by metric; none to itself or to nothing."""
    if base is None or row is base:
        return {}
    by_name = {name: difference(row.scores(name), base.scores(name)) for name in names}
    return {name: value for name, value in by_name.items() if value is not None}


def _cost(row: Row, name: str) -> float | None:
    values = [record.cost[name] for record in row.finished_records if name in record.cost]
    return mean(values) if values else None
