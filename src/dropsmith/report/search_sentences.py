"""The sentences of a search's page: the best plan, the samplers and the faults."""

from collections import Counter
from statistics import median

from dropsmith.learn import Searches, SearchRun
from dropsmith.pattern_search import Trial, Value
from dropsmith.report.numbers import LOSSES

PLANS_SHOWN = 3
"""The number of plans on the page, from the best on."""

_MIN_PROPOSALS = 10
"""The fewest proposals whose shares are mentioned."""


def score_name(searches: Searches) -> str:
    """The name of a score: the loss on validation."""
    return f"validation {LOSSES[searches.problem.loss]}"


def search_findings(searches: Searches) -> list[str]:
    """Sentences on the best plan, the comparison of samplers, and failed trials."""
    best = searches.best
    if best is None:
        return [sentence for sentence in ("No trial has a score.", _ends(searches)) if sentence]
    scores = [trial.score or 0.0 for search in searches.runs for trial in search.finished]
    sentences = [
        f"The best plan has {score_name(searches)} {best.score:.4f} (trial {best.number} of "
        f"{label(searches.run_of(best), searches)}). The median of the {len(scores)} scores, of "
        f"{len(searches.ranked())} different plans, is {median(scores):.4f}.",
        _by_sampler(searches),
        "The best of many scores is too optimistic about its plan: train the plan with new seeds "
        "and score it on the test set to know what it gains.",
        _ends(searches),
        *(_preferences(search, searches) for search in searches.runs),
    ]
    return [sentence for sentence in sentences if sentence]


def _by_sampler(searches: Searches) -> str:
    runs = [run for run in searches.runs if run.best is not None]
    if len(runs) < 2:
        return ""
    parts = [
        f"{label(run, searches)} {run.best.score:.4f} ({len(run.finished)} scores)"
        for run in runs
        if run.best is not None
    ]
    best = ", ".join(parts)
    return f"Best score by sampler: {best}. One search each is too few to compare samplers."


def trial_count(searches: Searches) -> int:
    """The trials of all searches: one a proposal, however often it was tried."""
    return sum(len(run.last_tries) for run in searches.runs)


_ENDS = {
    "finished": "have a score",
    "stopped": "stopped early",
    "failed": "failed",
    "lost": "interrupted",
    "running": "interrupted",
}


def _ends(searches: Searches) -> str:
    """The ends of trials, which add up to their number; nothing where all have a score."""
    trials = [trial for run in searches.runs for trial in run.last_tries]
    counts = Counter(_ENDS.get(trial.status, trial.status) for trial in trials)
    retries = sum(len(run.trials) for run in searches.runs) - len(trials)
    if counts.keys() == {"have a score"} and not retries:
        return ""
    order = [words for words in dict.fromkeys(_ENDS.values()) if counts[words]]
    parts = ", ".join(f"{counts[words]} {words}" for words in order)
    failure = first_failure(searches)
    why = f" ({failure})" if failure else ""
    again = f" Tries that were lost and made again: {retries}." if retries else ""
    return f"Of {len(trials)} trials, {parts}{why}.{again}"


def first_failure(searches: Searches) -> str:
    """The first failed trial and its error; nothing where no trial failed."""
    trials = [trial for run in searches.runs for trial in run.last_tries]
    return next((f"trial {t.number}: {t.why}" for t in trials if t.status == "failed"), "")


def _preferences(search: SearchRun, searches: Searches) -> str:
    """The values that a sampler which learns proposed far more often than evenly at the end."""
    strong = [] if search.sampler == "random" else late_preferences(search, searches)
    if not strong:
        return ""
    parts = [
        f"{name} = {spelled_value(value)} in {100 * share:.0f} %"
        for name, value, share in strong[:3]
    ]
    return (
        f"The values that {label(search, searches)} preferred most in the last third of its "
        f"trials: {', '.join(parts)}."
    )


def late_preferences(search: SearchRun, searches: Searches) -> list[tuple[str, Value, float]]:
    """Choices, their commonest values and the shares of these in the last third of proposals.

    Only shares that are three standard errors above an even one, the most one-sided first.
    """
    proposals = first_tries(search)
    last = proposals[len(proposals) - len(proposals) // 3 :]
    preferences: list[tuple[float, str, Value, float]] = []
    for index, choice in enumerate(
        searches.problem.space.choices if len(last) >= _MIN_PROPOSALS else ()
    ):
        values = [trial.tokens[index] for trial in last]
        commonest = max(range(len(choice.values)), key=values.count)
        share, even = values.count(commonest) / len(values), 1 / len(choice.values)
        if share > even + 3 * (even * (1 - even) / len(values)) ** 0.5:
            preferences.append((share - even, choice.name, choice.values[commonest], share))
    preferences.sort(key=lambda row: row[0], reverse=True)
    return [row[1:] for row in preferences]


def first_tries(search: SearchRun) -> list[Trial]:
    """One trial for each proposal, in the order in which they were asked for."""
    by_proposal = {trial.proposal_index: trial for trial in reversed(search.trials)}
    return [by_proposal[number] for number in sorted(by_proposal)]


def spelled_value(value: Value) -> str:
    """A value as a reader would write it.

    >>> spelled_value(True), spelled_value(0.5), spelled_value("all")
    ('yes', '0.5', 'all')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def label(search: SearchRun, searches: Searches) -> str:
    """The name of a search: its sampler, and its seed where several have this sampler."""
    alike = [run for run in searches.runs if run.sampler == search.sampler]
    return search.sampler if len(alike) == 1 else f"{search.sampler}, seed {search.seed}"
