"""The findings of a comparison, in sentences made from its numbers."""

from collections.abc import Mapping

from dropsmith.compare import (
    Comparison,
    Difference,
    corrected_p_values,
    has_result,
    mean,
    metrics,
    spell_setting,
    summarise,
)
from dropsmith.record import Record, validation_loss, validation_loss_name
from dropsmith.report.numbers import METRICS

RISE = 1.02
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
_SPOKEN_NAMES = {
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
    """Sentences on the methods' scores, the agreement of views, and overfitting."""
    families = [family for family in _families(comparison) if family[2]]
    alone = [_are_single_seed(differences) for _, _, differences in families]
    verdicts = [_ONE_SEED] if alone and all(alone) else [_against(*family) for family in families]
    sentences = [*verdicts, _overfitting(comparison), *_untried(comparison), _failures(comparison)]
    return [sentence for sentence in sentences if sentence]


def _families(comparison: Comparison) -> list[tuple[str, str, Mapping[str, Difference]]]:
    """The families of one sentence: its start, its metric, and each method's difference."""
    lines, names = summarise(comparison), metrics(comparison)
    families: list[tuple[str, str, Mapping[str, Difference]]] = [
        (
            f"Against {comparison.baseline}, in {words}",
            name,
            {line.method: line.to_baseline[name] for line in lines if name in line.to_baseline},
        )
        for name, words in _SPOKEN_NAMES.items()
        if name in names
    ]
    main = next(name for name in _SPOKEN_NAMES if name in names)
    start = "Against two-sample, which has the same views and nothing to agree on, in "
    control = {line.method: line.to_control[main] for line in lines if line.to_control}
    return [*families, (start + _SPOKEN_NAMES[main], main, control)]


def _are_single_seed(differences: Mapping[str, Difference]) -> bool:
    """True if each rests on one pair of runs."""
    return all(change.low is None for change in differences.values())


def _against(start: str, name: str, differences: Mapping[str, Difference]) -> str:
    if _are_single_seed(differences):
        return f"{start}: one seed gives no interval, so no difference can be called clear."
    p_values = corrected_p_values(differences, enough=2)
    groups: dict[str, list[str]] = {}
    for method, change in differences.items():
        verdict = METRICS[name].verdict(change)
        # An interval speaks of one comparison; a corrected p-value of all that were made. From a
        # few seeds it is too rough to be printed, but no less strict.
        significant = p_values.get(method, 1.0) < SIGNIFICANT
        groups.setdefault(verdict if significant or not verdict else f"{verdict} alone", []).append(
            method
        )
    parts = [f"{words} {', '.join(groups[key])}" for key, words in _WORDS.items() if key in groups]
    return f"{start}: {'; '.join(parts)}."


def _overfitting(comparison: Comparison) -> str:
    row = comparison.row("none")
    rises = [rise for record in row.finished_records if (rise := _rise(record))] if row else []
    if not rises:
        return ""
    has_perplexity = any(_PERPLEXITY in record.scores for record in comparison.records)
    rise, measure = mean(rises), "perplexity" if has_perplexity else "loss"
    if rise > RISE:
        return (
            f"Without noise, validation {measure} ends {100 * (rise - 1):.0f} % above its lowest "
            "point: there is overfitting to prevent, so the task can tell methods apart."
        )
    return (
        f"Without noise, validation {measure} ends at its lowest point, or less than "
        f"{100 * (RISE - 1):.0f} % above it: there is little overfitting to prevent here, and "
        "methods cannot be judged by it. Try fewer examples (--limit) or more epochs (--budget)."
    )


def _rise(record: Record) -> float | None:
    values = [row[_PERPLEXITY] for row in record.curve if _PERPLEXITY in row]
    values = values or [validation_loss(row) for row in record.curve if validation_loss_name(row)]
    return values[-1] / min(values) if values and min(values) > 0 else None


def _untried(comparison: Comparison) -> list[str]:
    """Methods whose setting was chosen without a word from some of those they were to try."""
    sentences: list[str] = []
    for row in comparison.rows:
        untried = [trial for trial in row.trials if not all(map(has_result, trial.records))]
        if untried:
            words = "; ".join(spell_setting(trial.setting) for trial in untried)
            finished = any(trial.is_finished for trial in row.trials)
            choice = "chosen among the others" if finished else "its usual one, and not chosen"
            sentences.append(
                f"{row.method} was not tuned on equal terms: {len(untried)} of its "
                f"{len(row.trials)} settings could not be tried ({words}), so its setting is "
                f"{choice}. The same command tries them again."
            )
    return sentences


def _failures(comparison: Comparison) -> str:
    failures = [record for row in comparison.rows for record in row.failed_records]
    if not failures:
        return ""
    details = "; ".join(
        f"{record.config['method']}, seed {record.config['seed']}: {record.status}"
        for record in failures
    )
    return f"{len(failures)} of {len(comparison.records)} runs did not finish ({details})."
