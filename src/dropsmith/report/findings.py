"""What the numbers say, in sentences made from them: also that they say little."""

from collections.abc import Mapping
from statistics import fmean

from dropsmith.compare import Comparison
from dropsmith.compare.statistics import Difference, corrected
from dropsmith.compare.summary import metrics, summarise
from dropsmith.record import Record, chosen_by, validation_loss
from dropsmith.report.numbers import METRICS

TURNED = 1.02
"""Validation has turned upward if it ends this many times its lowest point: the perplexity where
a task is judged by one, since a share of its logarithm says little; else the loss."""

SIGNIFICANT = 0.05
"""A p-value, corrected for the number of comparisons, below which a difference is called clear."""

_ONE_SEED = "One seed gives no interval, so no difference can be called clear."

_WORDS = {
    "better": "clearly better",
    "worse": "clearly worse",
    "better alone": "perhaps better (by interval, not by corrected p)",
    "worse alone": "perhaps worse (by interval, not by corrected p)",
    "": "not told apart",
}
_PERPLEXITY = "validation_perplexity"
_SPOKEN = {
    "test_nll": "likelihood",
    "test_bleu": "BLEU",
    "test_rougel": "ROUGE-L",
    "test_matthews": "Matthews correlation",
    "test_f1": "F1",
    "test_pearson": "Pearson correlation",
    "test_accuracy": "accuracy",
    "test_rmse": "squared error",
}


def findings(comparison: Comparison) -> list[str]:
    """Sentences on what methods are judged by, agreement of views, and whether it can tell."""
    families = [family for family in _families(comparison) if family[2]]
    alone = [_all_alone(differences) for _, _, differences in families]
    told = [_ONE_SEED] if alone and all(alone) else [_against(*family) for family in families]
    said = [*told, _turned(comparison), _failures(comparison)]
    return [sentence for sentence in said if sentence]


def _families(comparison: Comparison) -> list[tuple[str, str, Mapping[str, Difference]]]:
    """What is told of together: a sentence's start, its metric, and each method's difference."""
    lines, spoken_of = summarise(comparison), metrics(comparison)
    found: list[tuple[str, str, Mapping[str, Difference]]] = [
        (
            f"Against {comparison.baseline}, in {spoken}",
            name,
            {line.method: line.to_baseline[name] for line in lines if name in line.to_baseline},
        )
        for name, spoken in _SPOKEN.items()
        if name in spoken_of
    ]
    main = next(name for name in _SPOKEN if name in spoken_of)
    start = "Against two-sample, which has the same views and nothing to agree on, in "
    control = {line.method: line.to_control[main] for line in lines if line.to_control}
    return [*found, (start + _SPOKEN[main], main, control)]


def _all_alone(differences: Mapping[str, Difference]) -> bool:
    """Whether each rests on one pair of runs."""
    return all(found.low is None for found in differences.values())


def _against(start: str, name: str, differences: Mapping[str, Difference]) -> str:
    if _all_alone(differences):
        return f"{start}: one seed gives no interval, so no difference can be called clear."
    p_values = corrected(differences, enough=2)
    groups: dict[str, list[str]] = {}
    for method, found in differences.items():
        verdict = METRICS[name].verdict(found)
        # An interval speaks of one comparison; a corrected p-value of all that were made. From a
        # few seeds it is too rough to be printed, but no less strict.
        sure = p_values.get(method, 1.0) < SIGNIFICANT
        groups.setdefault(verdict if sure or not verdict else f"{verdict} alone", []).append(method)
    parts = [f"{words} {', '.join(groups[key])}" for key, words in _WORDS.items() if key in groups]
    return f"{start}: {'; '.join(parts)}."


def _turned(comparison: Comparison) -> str:
    row = comparison.row("none")
    rises = [rise for record in row.finished if (rise := _rise(record))] if row else []
    if not rises:
        return ""
    spoken = any(_PERPLEXITY in record.scores for record in comparison.records)
    rise, what = fmean(rises), "perplexity" if spoken else "loss"
    if rise > TURNED:
        return (
            f"Without noise, validation {what} ends {100 * (rise - 1):.0f} % above its lowest "
            "point: there is overfitting to prevent, so the task can tell methods apart."
        )
    return (
        f"Without noise, validation {what} ends at its lowest point, or less than "
        f"{100 * (TURNED - 1):.0f} % above it: there is little overfitting to prevent here, and "
        "methods cannot be judged by it. Try fewer examples (--limit) or more epochs (--budget)."
    )


def _rise(record: Record) -> float | None:
    values = [row[_PERPLEXITY] for row in record.curve if _PERPLEXITY in row]
    values = values or [validation_loss(row) for row in record.curve if chosen_by(row)]
    return values[-1] / min(values) if values and min(values) > 0 else None


def _failures(comparison: Comparison) -> str:
    failed = [record for row in comparison.rows for record in row.failed]
    if not failed:
        return ""
    named = "; ".join(
        f"{record.config['method']}, seed {record.config['seed']}: {record.status}"
        for record in failed
    )
    return f"{len(failed)} of {len(comparison.records)} runs did not finish ({named})."
