"""The answer of a comparison: the method to use, and why, by one rule."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite

from dropsmith.compare.comparison import Comparison, Row
from dropsmith.compare.constants import constant_predictor
from dropsmith.compare.method import Setting
from dropsmith.compare.method_names import find_method, full
from dropsmith.compare.methods import METHODS
from dropsmith.compare.price import CLOCKS
from dropsmith.compare.statistics import Difference, mean
from dropsmith.compare.summary import Line, metrics, summarise
from dropsmith.compare.verdicts import Verdict, more_is_better, verdict
from dropsmith.record import Record, validation_loss, validation_loss_name


class Conclusion(StrEnum):
    """The kind of an answer."""

    BETTER = "a method is better than the baseline"
    KEEP = "no method is detectably better than the baseline"
    NOT_LEARNED = "nothing was learned"
    NOTHING = "nothing can be concluded"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The method to use, how sure that is, and what it costs.

    Args:
        conclusion: the kind of answer.
        baseline: the method that all others are compared with.
        score: the main score of the task, such as `test_accuracy`.
        method, setting: the method to use, with the setting chosen on validation; None where
            nothing can be concluded.
        difference: of the method to the baseline in the main score; None for the baseline itself.
        verdicts: the verdict on each score of the method; empty for the baseline.
        seeds: the seeds that the method and the baseline share.
        better: all methods that are better than the baseline in the main score.
        unconfirmed: those that are better in it, but not significantly after Holm's correction.
        incomplete: methods that are left out because a run of theirs did not finish.
        time_ratio, memory_ratio: mean time and peak memory of a run, divided by the baseline's;
            None for the baseline and where costs are unknown.
        seconds, memory: the means of the method.
        record: the run of the method with the least validation loss; None as `method`.
    """

    conclusion: Conclusion
    baseline: str
    score: str
    method: str | None = None
    setting: Setting | None = None
    difference: Difference | None = None
    verdicts: dict[str, Verdict]
    seeds: int
    better: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    time_ratio: float | None = None
    memory_ratio: float | None = None
    seconds: float | None = None
    memory: float | None = None
    record: str | None = None


def answer(comparison: Comparison) -> Answer:
    """The method to use, by the results of a comparison.

    If methods are significantly better than the baseline in the main score after Holm's correction,
    it is the one of these with the best mean. Otherwise it is the simplest method that is worse in
    no score, with the correction or without: that of fewest views, no noise before noise, the
    baseline before others, and then the one whose runs take the least time.
    A method is left out if one of its reported runs did not finish. Nothing can be concluded
    without a finished run of the baseline, or where no difference has an interval, as with fewer
    than three seeds. Nothing was learned where no method is better than always predicting the
    commonest class, or the mean.
    """
    lines = {line.method: line for line in summarise(comparison)}
    base, score = lines[comparison.baseline], metrics(comparison)[0]
    incomplete = tuple(name for name, line in lines.items() if line.finished < line.runs)
    others = {name: line for name, line in lines.items() if score in line.to_baseline}
    judged = {
        name: {metric: verdict(metric, change) for metric, change in line.to_baseline.items()}
        for name, line in others.items()
    }
    seeds = max((line.to_baseline[score].pairs for line in others.values()), default=base.finished)
    nothing = Answer(
        conclusion=Conclusion.NOTHING,
        baseline=comparison.baseline,
        score=score,
        verdicts={},
        seeds=seeds,
        incomplete=incomplete,
    )
    constant = constant_predictor(comparison)
    if constant is not None and not constant.is_beaten:
        return replace(nothing, conclusion=Conclusion.NOT_LEARNED)
    if all(verdicts[score] is Verdict.NO_INTERVAL for verdicts in judged.values()):
        return nothing
    complete = {name: line for name, line in lines.items() if name not in incomplete}
    better = tuple(name for name in judged if judged[name][score] is Verdict.BETTER)
    if candidates := [name for name in better if name in complete]:
        name = min(candidates, key=_by_mean(score, lines))
        conclusion = Conclusion.BETTER
    else:
        keepable = [
            name for name in complete if not _RULED_OUT & set(judged.get(name, {}).values())
        ]
        if not keepable:
            return nothing
        name = min(keepable, key=_simplicity(comparison, lines))
        conclusion = Conclusion.KEEP
    row, line = comparison.row(name), lines[name]
    assert row is not None
    change = line.to_baseline.get(score)
    return Answer(
        conclusion=conclusion,
        baseline=comparison.baseline,
        score=score,
        method=name,
        setting=row.setting,
        difference=change,
        verdicts=judged.get(name, {}),
        seeds=base.finished if change is None else change.pairs,
        better=better,
        unconfirmed=tuple(n for n in judged if judged[n][score] is Verdict.BETTER_UNCORRECTED),
        incomplete=incomplete,
        time_ratio=_ratio(row, comparison, CLOCKS),
        memory_ratio=_ratio(row, comparison, ("peak_memory_bytes",)),
        seconds=line.seconds,
        memory=line.memory,
        record=_best_run(row).id,
    )


_RULED_OUT = {Verdict.WORSE, Verdict.WORSE_UNCORRECTED, Verdict.NO_INTERVAL}


def _by_mean(score: str, lines: dict[str, Line]) -> Callable[[str], float]:
    sign = -1 if more_is_better(score) else 1
    return lambda name: sign * lines[name].spread[score].mean


def _simplicity(
    comparison: Comparison, lines: dict[str, Line]
) -> Callable[[str], tuple[int, bool, bool, float]]:
    def place(name: str) -> tuple[int, bool, bool, float]:
        row, seconds = comparison.row(name), lines[name].seconds
        assert row is not None
        config = row.records[0].config
        has_noise = bool(config["plan"]["rules"])
        time = inf if seconds is None else seconds
        return _views(row), has_noise, name != comparison.baseline, time

    return place


def _views(row: Row) -> int:
    """The views of a method; of one of the user's own, whose code is not run, by its objective."""
    if full(row.method) in METHODS:
        return find_method(row.method).views
    return 1 if row.records[0].config["objective"].get("objective") == "TaskLoss" else 2


def _ratio(row: Row, comparison: Comparison, names: tuple[str, ...]) -> float | None:
    """The mean cost of a run divided by the baseline's, by the first name that all runs have."""
    base = comparison.row(comparison.baseline)
    if base is None or base is row:
        return None
    runs = [*row.finished_records, *base.finished_records]
    name = next((name for name in names if all(name in run.cost for run in runs)), None)
    if name is None:
        return None
    cost, base_cost = (
        mean(run.cost[name] for run in each.finished_records) for each in (row, base)
    )
    return cost / base_cost if base_cost > 0 and isfinite(cost) else None


def _best_run(row: Row) -> Record:
    scored = [run for run in row.finished_records if validation_loss_name(run.scores)]
    return min(scored, key=lambda run: validation_loss(run.scores), default=row.finished_records[0])
