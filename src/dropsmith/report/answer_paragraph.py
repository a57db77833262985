"""The answer of a comparison in words: one paragraph, and the next command."""

from dataclasses import asdict, dataclass
from typing import Any

from dropsmith.compare import (
    ENOUGH_FOR_INTERVAL,
    METHODS,
    Answer,
    Comparison,
    Conclusion,
    Difference,
    Row,
    answer,
    constant_predictor,
    find_method,
    full,
    is_method,
    more_is_better,
    spell_setting,
    summarise,
)
from dropsmith.report.numbers import METRICS, megabytes, p_value, seconds, seeds
from dropsmith.report.reproduce_command import Place, comparison_command, train_command

MORE_SEEDS = 5
"""The seeds that a comparison without intervals is asked to have."""


@dataclass(frozen=True, kw_only=True)
class AnswerText:
    """The answer as it is shown.

    Args:
        text: the paragraph, which ends with the reason for the command.
        command: what to type next.
    """

    text: str
    command: str


def answer_text(comparison: Comparison, place: Place | None = None) -> AnswerText:
    """The paragraph that answers which method to use, and the command that makes that model."""
    place, result = place or Place(), answer(comparison)
    row = None if result.method is None else comparison.row(result.method)
    if row is None:
        return _nothing(result, comparison, place)
    sentences = [
        _better(result, row, comparison)
        if result.conclusion is Conclusion.BETTER
        else _keep(result, row, comparison),
        _other_scores(result),
        _unconfirmed(result),
        _cost(result),
        _incomplete(result),
        "The command that trains this model, or finds it if it is trained:",
    ]
    record = next(run for run in row.records if run.id == result.record)
    return AnswerText(
        text=" ".join(sentence for sentence in sentences if sentence),
        command=train_command(comparison, row, record, place),
    )


def answer_object(comparison: Comparison, place: Place | None = None) -> dict[str, Any]:
    """The answer as a JSON object, its paragraph and its command among its fields."""
    return asdict(answer(comparison)) | asdict(answer_text(comparison, place))


def _better(result: Answer, row: Row, comparison: Comparison) -> str:
    label, numbers = METRICS[result.score].label, _numbers(result, comparison)
    others = [name for name in result.better if name not in (row.method, *result.incomplete)]
    if not others:
        return (
            f"Use {_spelled(row)}: its {label} is better than that of {result.baseline}, {numbers}."
        )
    return (
        f"Use {_spelled(row)}: of the methods that are better than {result.baseline} it has the "
        f"best mean {label}, {numbers}. Also better: {', '.join(others)}."
    )


def _keep(result: Answer, row: Row, comparison: Comparison) -> str:
    base, label = result.baseline, METRICS[result.score].label
    unsure = [name for name in result.better if name in result.incomplete]
    nobody = (
        f"no method with all its runs is detectably better than {base}"
        if unsure
        else f"no method is detectably better than {base}"
    )
    if row.method == base:
        return (
            f"Keep {_spelled(row)}: {nobody} in {label} over {seeds(result.seeds)}"
            f"{_nearest(result, comparison)}."
        )
    return (
        f"Use {_spelled(row)}: {nobody} in {label}, and this is the simplest method that is not "
        f"detectably worse, {_numbers(result, comparison)}."
    )


def _nearest(result: Answer, comparison: Comparison) -> str:
    """The method with the most favourable difference, in words."""
    lines = [line for line in summarise(comparison) if result.score in line.to_baseline]
    if not lines:
        return ""
    sign = 1 if more_is_better(result.score) else -1
    line = max(lines, key=lambda line: sign * line.to_baseline[result.score].mean)
    return (
        f"; the nearest is {line.method}, {_change(result.score, line.to_baseline[result.score])}"
    )


def _numbers(result: Answer, comparison: Comparison) -> str:
    """The means of both methods, their difference, and how sure it is."""
    metric = METRICS[result.score]
    means = {line.method: line.spread for line in summarise(comparison)}
    assert result.method is not None
    assert result.difference is not None
    pair = " against ".join(
        _with_unit(result.score, metric.value(means[name][result.score].mean))
        for name in (result.method, result.baseline)
    )
    return f"{pair}: {_change(result.score, result.difference)}"


def _change(name: str, change: Difference) -> str:
    metric = METRICS[name]
    unit = " points" if metric.unit == "%" else ""
    p = "" if change.corrected is None else f", p {_p(change.corrected)} after Holm correction"
    interval = metric.interval(change)
    interval = f"95 % interval {interval}" if interval.startswith("[") else interval
    return f"difference {metric.change(change.mean)}{unit} ({interval}{p}, {seeds(change.pairs)})"


def _p(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _with_unit(name: str, text: str) -> str:
    return f"{text} %" if METRICS[name].unit == "%" else text


def _spelled(row: Row) -> str:
    """A method with its setting; what it is, where its name does not say."""
    setting = spell_setting(row.setting)
    if full(row.method) in METHODS and find_method(row.method).noise is None:
        return f"the method {row.method}, which drops nothing ({setting})"
    return f"{row.method} ({setting})" if is_method(row.method) else f"the plan {row.method}"


def _other_scores(result: Answer) -> str:
    parts = [
        f"{METRICS[name].label}: {judgement.value}"
        for name, judgement in result.verdicts.items()
        if name != result.score
    ]
    return f"In other scores, {'; '.join(parts)}." if parts else ""


def _unconfirmed(result: Answer) -> str:
    if not result.unconfirmed:
        return ""
    return (
        f"Better, but not significant after Holm correction: {', '.join(result.unconfirmed)}; more "
        "seeds can decide that."
    )


def _cost(result: Answer) -> str:
    if result.time_ratio is None or result.memory_ratio is None:
        return f"A run took {seconds(result.seconds)}." if result.seconds is not None else ""
    return (
        f"A run costs {result.time_ratio:.2f} times the time and {result.memory_ratio:.2f} times "
        f"the memory of {result.baseline} ({seconds(result.seconds)}, {megabytes(result.memory)})."
    )


def _incomplete(result: Answer) -> str:
    if not result.incomplete:
        return ""
    return f"Left out, because a run did not finish: {', '.join(result.incomplete)}."


def _not_learned(comparison: Comparison, place: Place) -> AnswerText:
    epochs = comparison.records[-1].config["budget"]["epochs"]
    return AnswerText(
        text=f"{nothing_learned(comparison)} So the methods cannot be compared here. Look at the "
        "inputs and labels, try another learning rate (--learning-rate), or train for longer:",
        command=comparison_command(comparison, place, epochs=LONGER * epochs),
    )


def nothing_learned(comparison: Comparison) -> str:
    """The sentence that says so; nothing where a method has learned something."""
    constant = constant_predictor(comparison)
    if constant is None or constant.is_beaten:
        return ""
    scores = ", ".join(
        f"{METRICS[name].label} {_with_unit(name, METRICS[name].value(score))}"
        for name, score in constant.scores.items()
    )
    what = constant.name.removeprefix("always ")
    return (
        f"Nothing was learned: no method is detectably better than always predicting {what} "
        f"({scores})."
    )


LONGER = 3
"""The length that runs are asked to have where nothing was learned, in times their own."""


def _nothing(result: Answer, comparison: Comparison, place: Place) -> AnswerText:
    if result.conclusion is Conclusion.NOT_LEARNED:
        return _not_learned(comparison, place)
    base = comparison.row(result.baseline)
    assert base is not None
    again = comparison_command(comparison, place)
    if not base.finished_records:
        return AnswerText(
            text=f"Nothing can be concluded: no run of the baseline {result.baseline} finished. "
            "The command that makes the missing runs:",
            command=again,
        )
    if len(comparison.rows) == 1 and place.recipes:
        return AnswerText(
            text="Nothing can be concluded: this is the only recipe, and is compared with nothing. "
            "Type more recipes of the task after it, separated by commas:",
            command=again,
        )
    if len(comparison.rows) == 1:
        other = "dropout" if result.baseline == "none" else "none"
        return AnswerText(
            text=f"Nothing can be concluded: {result.baseline} is the only method, and is compared "
            f"with nothing. The command that compares it with {other}, and reads from disk what "
            "exists:",
            command=comparison_command(comparison, place, more=[other]),
        )
    if len(base.records) >= ENOUGH_FOR_INTERVAL:
        return AnswerText(
            text="Nothing can be concluded: too many runs did not finish, or no difference varies "
            "from seed to seed. The command that makes the missing runs:",
            command=again,
        )
    return AnswerText(
        text=f"Nothing can be concluded from {seeds(result.seeds)}: runs that differ in nothing "
        "but their seed differ in their scores, too, and fewer than three seeds do not show by how "
        "much. The command that runs more seeds, and reads from disk what exists:",
        command=comparison_command(comparison, place, seeds=MORE_SEEDS),
    )
