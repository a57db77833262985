"""The findings of a comparison, in sentences made from its numbers."""

from collections.abc import Mapping

from dropsmith.compare import (
    ENOUGH_FOR_INTERVAL,
    Comparison,
    Difference,
    Verdict,
    has_result,
    mean,
    metrics,
    spell_setting,
    summarise,
    verdict,
)
from dropsmith.record import Record, validation_loss, validation_loss_name
from dropsmith.report.answer_paragraph import nothing_learned
from dropsmith.report.numbers import METRICS

RISE = 1.02
"""Validation has turned upward if it ends this many times its lowest point: the perplexity where
a task is judged by one, since a share of its logarithm says little; else the loss."""

_TOO_FEW_SEEDS = (
    "Fewer than three seeds give no interval, so nothing can be concluded: run more, such as "
    "--seeds 5."
)
_PERPLEXITY = "validation_perplexity"


def findings(comparison: Comparison) -> list[str]:
    """Sentences on the methods' scores, the consistency term, and overfitting."""
    families = [family for family in _families(comparison) if family[2]]
    pairs = [change.pairs for _, _, changes in families for change in changes.values()]
    has_intervals = any(count >= ENOUGH_FOR_INTERVAL for count in pairs)
    verdicts = [_against(*family) for family in families]
    verdicts = verdicts if has_intervals or not pairs else [_TOO_FEW_SEEDS]
    learned = nothing_learned(comparison) or _overfitting(comparison)
    sentences = [*verdicts, learned, *_untried(comparison), _failures(comparison)]
    return [sentence for sentence in sentences if sentence]


def _families(comparison: Comparison) -> list[tuple[str, str, Mapping[str, Difference]]]:
    """The families of one sentence: its start, its metric, and each method's difference."""
    lines, names = summarise(comparison), metrics(comparison)
    families: list[tuple[str, str, Mapping[str, Difference]]] = [
        (
            f"{_capital(METRICS[name].label)} compared with {comparison.baseline}",
            name,
            {line.method: line.to_baseline[name] for line in lines if name in line.to_baseline},
        )
        for name in names
    ]
    control = "difference from two-sample: same passes, no consistency loss"
    families += [
        (
            f"Effect of the consistency term on {METRICS[name].label} ({control})",
            name,
            {line.method: line.to_control[name] for line in lines if name in line.to_control},
        )
        for name in names
    ]
    return families


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _against(start: str, name: str, differences: Mapping[str, Difference]) -> str:
    groups: dict[Verdict, list[str]] = {}
    for method, change in differences.items():
        groups.setdefault(verdict(name, change), []).append(method)
    parts = [f"{key.value}: {', '.join(groups[key])}" for key in Verdict if key in groups]
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
            "point: the model overfits, so regularisation can help on this task."
        )
    return (
        f"Without noise, validation {measure} ends at its lowest point, or less than "
        f"{100 * (RISE - 1):.0f} % above it: the model hardly overfits, so this comparison says "
        "little about regularisation. Try fewer examples (--limit) or more epochs (--budget)."
    )


def _rise(record: Record) -> float | None:
    values = [row[_PERPLEXITY] for row in record.curve if _PERPLEXITY in row]
    values = values or [validation_loss(row) for row in record.curve if validation_loss_name(row)]
    return values[-1] / min(values) if values and min(values) > 0 else None


def _untried(comparison: Comparison) -> list[str]:
    """Methods whose setting was chosen although some of its trials did not run."""
    sentences: list[str] = []
    for row in comparison.rows:
        untried = [trial for trial in row.trials if not all(map(has_result, trial.records))]
        if untried:
            words = "; ".join(spell_setting(trial.setting) for trial in untried)
            finished = any(trial.is_finished for trial in row.trials)
            choice = "chosen among the others" if finished else "its usual one, and not chosen"
            sentences.append(
                f"{row.method} was not tuned on equal terms: {len(untried)} of its "
                f"{len(row.trials)} settings did not run ({words}), so its setting is "
                f"{choice}. The same command runs them again."
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
