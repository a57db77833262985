"""What searches found, in sentences and tables."""

from collections.abc import Sequence
from statistics import median

from dropsmith.learn import Searched, Searches
from dropsmith.pattern_search import Space, Tokens, Trial, Value
from dropsmith.report.cells import Cell, Grid
from dropsmith.report.numbers import LOSSES, brief, seconds

SHOWN = 3
"""Plans that are shown, from the best on."""

_MANY_TRIALS = 1000
_NOTHING = "–"
_ENOUGH = 10
"""Proposals from which shares are spoken of."""


def score_name(searches: Searches) -> str:
    """What a score is called; the kind of loss stands in the curves that it is the least of."""
    return f"validation {LOSSES[searches.problem.loss]}"


def search_findings(searches: Searches) -> list[str]:
    """Sentences on the best plan, how samplers compare, and what went wrong."""
    best = searches.best
    if best is None:
        return ["No trial came to a score."]
    scores = [trial.score or 0.0 for search in searches.found for trial in search.finished]
    said = [
        f"The best plan has {score_name(searches)} {best.score:.4f}, in trial {best.number} of "
        f"{label(searches.by(best), searches)}; the median of all {len(scores)} scores, of "
        f"{len(searches.ranked())} different plans, is {median(scores):.4f}.",
        _by_sampler(searches),
        "The best of many scores is better than the plan itself: what it is worth is seen on seeds "
        "and examples that the search has not seen.",
        _ends(searches),
        *(_preferred(search, searches) for search in searches.found),
    ]
    return [sentence for sentence in said if sentence]


def _by_sampler(searches: Searches) -> str:
    found = [one for one in searches.found if one.best is not None]
    if len(found) < 2:
        return ""
    parts = [
        f"{label(one, searches)} {one.best.score:.4f} of {len(one.finished)}"
        for one in found
        if one.best is not None
    ]
    return (
        f"Best score by sampler: {', '.join(parts)}. One search each does not tell samplers apart."
    )


def _ends(searches: Searches) -> str:
    trials = [trial for one in searches.found for trial in one.trials]
    named = {"stopped": "stopped early", "failed": "failed", "lost": "lost and tried again"}
    counted = {words: sum(t.status == name for t in trials) for name, words in named.items()}
    parts = [f"{count} {words}" for words, count in counted.items() if count]
    why = next((f" (trial {t.number}: {t.why})" for t in trials if t.status == "failed"), "")
    return f"Of {len(trials)} trials {', '.join(parts)}{why}." if parts else ""


def _preferred(search: Searched, searches: Searches) -> str:
    """The values that a sampler which learns proposed far more often than evenly at the end."""
    strong = [] if search.sampler == "random" else late_preferences(search, searches)
    if not strong:
        return ""
    parts = [f"{name} = {spelled_value(value)} in {share:.0%}" for name, value, share in strong[:3]]
    return (
        f"In the last third of its trials, {label(search, searches)} chose most one-sidedly "
        f"{', '.join(parts)}."
    )


def late_preferences(search: Searched, searches: Searches) -> list[tuple[str, Value, float]]:
    """Choices, their commonest values and the shares of these in the last third of proposals.

    Only shares that are three standard errors above an even one, the most one-sided first.
    """
    proposals = first_tries(search)
    last = proposals[len(proposals) - len(proposals) // 3 :]
    found: list[tuple[float, str, Value, float]] = []
    for index, choice in enumerate(searches.problem.space.choices if len(last) >= _ENOUGH else ()):
        taken = [trial.tokens[index] for trial in last]
        commonest = max(range(len(choice.values)), key=taken.count)
        share, even = taken.count(commonest) / len(taken), 1 / len(choice.values)
        if share > even + 3 * (even * (1 - even) / len(taken)) ** 0.5:
            found.append((share - even, choice.name, choice.values[commonest], share))
    found.sort(key=lambda one: one[0], reverse=True)
    return [one[1:] for one in found]


def first_tries(search: Searched) -> list[Trial]:
    """One trial for each proposal, in the order in which they were asked for."""
    by_proposal = {trial.proposal_index: trial for trial in reversed(search.trials)}
    return [by_proposal[number] for number in sorted(by_proposal)]


def plan_grid(searches: Searches) -> Grid:
    """The best plans token by token: a row for each part of the model that choices are about."""
    groups = _groups(searches)
    tokens = list(dict.fromkeys(token for names in groups.values() for token in names))
    rows = [
        row
        for rank, trial in enumerate(searches.ranked()[:SHOWN], start=1)
        for row in _plan_rows(rank, trial, groups, tokens, searches)
    ]
    return Grid(
        f"The best plans, token by token; {score_name(searches)} is {_mean(searches)}; "
        f"{_NOTHING}: the plan does not depend on it",
        ("plan", score_name(searches), "where", *tokens),
        tuple(rows),
    )


def _groups(searches: Searches) -> dict[str, dict[str, str]]:
    """For each part of the model, its tokens and the full names of the choices they are."""
    found: dict[str, dict[str, str]] = {}
    for choice in searches.problem.space.choices:
        group, _, token = choice.name.rpartition(".")
        found.setdefault(group, {})[token] = choice.name
    return found


def _plan_rows(
    rank: int,
    trial: Trial,
    groups: dict[str, dict[str, str]],
    tokens: Sequence[str],
    searches: Searches,
) -> list[tuple[Cell, ...]]:
    by = f"{label(searches.by(trial), searches)}\ntrial {trial.number}"
    acting = acting_choices(searches.problem.space, trial.tokens)
    rows: list[tuple[Cell, ...]] = []
    for place, names in groups.items():
        score = Cell("") if rows else Cell(f"{trial.score:.4f}", by)
        cells = (_value(names.get(token), trial, acting) for token in tokens)
        rows.append((Cell(str(rank)), score, Cell(place), *cells))
    return rows


def acting_choices(space: Space, tokens: Tokens) -> frozenset[str]:
    """The choices that the plan depends on: a turn means nothing where nothing is tiled."""
    plan = space.plan(tokens)
    return frozenset(
        choice.name
        for index, choice in enumerate(space.choices)
        if any(
            space.plan((*tokens[:index], other, *tokens[index + 1 :])) != plan
            for other in range(len(choice.values))
        )
    )


def _value(name: str | None, trial: Trial, acting: frozenset[str]) -> Cell:
    if name is None:
        return Cell("")
    return Cell(spelled_value(trial.chosen[name]) if name in acting else _NOTHING)


def spelled_value(value: Value) -> str:
    """A value as a reader would write it.

    >>> spelled_value(True), spelled_value(0.5), spelled_value("all")
    ('yes', '0.5', 'all')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def trials_grid(searches: Searches) -> Grid:
    """Every trial: what proposed it, how it ended, its score, and its plan."""
    pairs = [(search, trial) for search in searches.found for trial in search.trials]
    rows = [
        (
            Cell(f"{label(search, searches)} {trial.number}"),
            Cell(trial.status, trial.why),
            Cell(_NOTHING if trial.score is None else f"{trial.score:.4f}"),
            Cell(seconds(trial.seconds)),
            Cell("\n".join(map(brief, trial.plan.rules)) or "no noise"),
        )
        for search, trial in pairs[:_MANY_TRIALS]
    ]
    more = len(pairs) - len(rows)
    left_out = f"; {more} more are left out" if more else ""
    return Grid(
        f"Every trial in the order they were begun{left_out}",
        ("trial", "ended", score_name(searches), "took", "plan"),
        tuple(rows),
    )


def label(search: Searched, searches: Searches) -> str:
    """What a search is called: by its sampler, and by its seed where that is not enough."""
    alike = [one for one in searches.found if one.sampler == search.sampler]
    return search.sampler if len(alike) == 1 else f"{search.sampler}, seed {search.seed}"


def _mean(searches: Searches) -> str:
    seeds = searches.problem.seeds
    return "of one child" if seeds == 1 else f"the mean of {seeds} children, each with its own seed"
