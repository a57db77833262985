"""The answer of a search in words: which plan, how sure, at what cost, and the next command."""

from dataclasses import replace
from statistics import median

from dropsmith.compare import Comparison, Conclusion, answer
from dropsmith.learn import LEARNED, RETRAINED, Searches
from dropsmith.pattern_search import Trial
from dropsmith.report.answer_paragraph import MORE_SEEDS, AnswerText, answer_text
from dropsmith.report.numbers import seconds
from dropsmith.report.reproduce_command import Place
from dropsmith.report.search_command import (
    has_command,
    search_command,
    train_under_plan_command,
)
from dropsmith.report.search_sentences import first_failure, label, score_name, trial_count
from dropsmith.train import plan_of

RETRAIN_SEEDS = 3
"""The seeds of the comparison that a search is asked to have."""

_USUAL_METHODS = {"none", "dropout"}
"""The methods that a command compares the plan with where it names none."""


def search_answer(
    searches: Searches, retrained: Comparison | None = None, place: Place | None = None
) -> AnswerText:
    """The paragraph that says which plan to use, and the command to type next.

    Args:
        searches: all searches of a folder.
        retrained: the comparison of the best plan with other methods on the test set.
        place: the data, its options and the folder of the search.
    """
    place, best = place or Place(), searches.best
    if best is None:
        return _no_score(searches, place)
    if retrained is not None and is_current(searches, retrained):
        return _compared(searches, retrained, place)
    earlier = (
        ""
        if retrained is None
        else "The comparison on the test set below does not include this plan."
    )
    text, command = _next(searches, best, place)
    sentences = [_plan(searches, best), earlier, _doubt(searches), _cost(searches), text]
    return AnswerText(text=" ".join(filter(None, sentences)), command=command)


def is_current(searches: Searches, retrained: Comparison) -> bool:
    """Say whether the learned plan of a comparison is still among the best plans of the search."""
    row = retrained.row(LEARNED)
    finalists = searches.finalists(max(1, len(row.trials))) if row is not None else ()
    return row is not None and plan_of(row.records[0]) in finalists


def _no_score(searches: Searches, place: Place) -> AnswerText:
    run, count = searches.runs[-1], trial_count(searches)
    failure = first_failure(searches)
    reason = f" ({failure})" if failure else ""
    text = f"No plan can be recommended, because none of the {count} trials has a score{reason}."
    if not has_command(run, searches):
        return AnswerText(
            text=f"{text} The command that trains the model without a plan, to find the fault:",
            command=f"dropsmith train {searches.problem.config['task']} --with none",
        )
    return AnswerText(
        text=f"{text} The command that tries more plans once the fault is mended:",
        command=search_command(run, searches, place, trials=2 * len(run.last_tries)),
    )


def _plan(searches: Searches, best: Trial) -> str:
    scores = [trial.score or 0.0 for run in searches.runs for trial in run.finished]
    source = f"trial {best.number} of {label(searches.run_of(best), searches)}"
    score = f"its {score_name(searches)} is {best.score:.4f}"
    if len(scores) == 1:
        return f"Use plan 1 ({source}), the only plan with a score: {score}."
    return (
        f"Use plan 1 ({source}): {score}, the lowest of {len(scores)} scores, whose median is "
        f"{median(scores):.4f}."
    )


def _doubt(searches: Searches) -> str:
    scores = sum(len(run.finished) for run in searches.runs)
    reason = (
        "one score on validation says little"
        if scores == 1
        else "the lowest of many scores on validation is partly luck"
    )
    return (
        f"It is not known yet whether this plan is better than plain dropout: {reason}, and the "
        "test set was not used."
    )


def _cost(searches: Searches) -> str:
    times = [t.seconds for run in searches.runs for t in run.finished if t.seconds is not None]
    if not times:
        return ""
    if len(times) == 1:
        return f"The trial took {seconds(times[0])}."
    return f"A trial took {seconds(median(times))} (median), all trials {seconds(sum(times))}."


def _next(searches: Searches, best: Trial, place: Place) -> tuple[str, str]:
    """The last sentence, and the command that it announces."""
    run = searches.run_of(best)
    if run.command_words:
        return (
            "The command that trains the recipe under this plan:",
            train_under_plan_command(run, searches, place),
        )
    if not has_command(run, searches):
        return (
            "The command that trains the task's model under this plan:",
            train_under_plan_command(run, searches, place),
        )
    return (
        "The command that compares the best plans with other methods on the test set:",
        search_command(run, searches, place, retrain_seeds=RETRAIN_SEEDS),
    )


def _compared(searches: Searches, retrained: Comparison, place: Place) -> AnswerText:
    folder = None if place.folder is None else place.folder / RETRAINED
    result = answer_text(retrained, replace(place, folder=folder))
    row, run = retrained.row(LEARNED), searches.runs[-1]
    assert row is not None
    assert searches.best is not None
    number = searches.finalists(max(1, len(row.trials))).index(plan_of(row.records[0])) + 1
    text = (
        f"The best plan of the search is called {LEARNED} here (plan {number} of the table of best "
        f"plans). {result.text}"
    )
    unsettled = answer(retrained).conclusion is Conclusion.NOTHING
    if not unsettled or not has_command(run, searches):
        return AnswerText(text=text, command=result.command)
    others = [name for name in (r.method for r in retrained.rows) if name != LEARNED]
    command = search_command(
        searches.run_of(searches.best),
        searches,
        place,
        retrain_seeds=max(MORE_SEEDS, len(row.records)),
        retrain_with=() if set(others) == _USUAL_METHODS else others,
    )
    return AnswerText(text=text, command=command)
