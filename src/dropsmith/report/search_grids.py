"""The tables of a search's page: the best plans token by token, and every trial."""

from collections.abc import Sequence

from dropsmith.learn import Searches
from dropsmith.pattern_search import Space, Tokens, Trial
from dropsmith.report.cells import Cell, Grid
from dropsmith.report.numbers import brief, seconds
from dropsmith.report.search_sentences import PLANS_SHOWN, label, score_name, spelled_value

_MAX_TRIALS = 1000


_NO_VALUE = "–"


def plan_grid(searches: Searches) -> Grid:
    """The best plans token by token: a row for each part of the model that choices are about."""
    groups = _groups(searches)
    tokens = list(dict.fromkeys(token for names in groups.values() for token in names))
    rows = [
        row
        for rank, trial in enumerate(searches.ranked()[:PLANS_SHOWN], start=1)
        for row in _plan_rows(rank, trial, groups, tokens, searches)
    ]
    return Grid(
        f"The best plans, choice by choice; {score_name(searches)} is {_mean(searches)}; "
        f"{_NO_VALUE}: the plan does not depend on this choice",
        ("plan", score_name(searches), "where", *tokens),
        tuple(rows),
    )


def _groups(searches: Searches) -> dict[str, dict[str, str]]:
    """For each part of the model, its tokens and the full names of the choices they are."""
    groups: dict[str, dict[str, str]] = {}
    for choice in searches.problem.space.choices:
        group, _, token = choice.name.rpartition(".")
        groups.setdefault(group, {})[token] = choice.name
    return groups


def _plan_rows(
    rank: int,
    trial: Trial,
    groups: dict[str, dict[str, str]],
    tokens: Sequence[str],
    searches: Searches,
) -> list[tuple[Cell, ...]]:
    by = f"{label(searches.run_of(trial), searches)}\ntrial {trial.number}"
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
            space.plan((*tokens[:index], alternative, *tokens[index + 1 :])) != plan
            for alternative in range(len(choice.values))
        )
    )


def _value(name: str | None, trial: Trial, acting: frozenset[str]) -> Cell:
    if name is None:
        return Cell("")
    return Cell(spelled_value(trial.choices[name]) if name in acting else _NO_VALUE)


def trials_grid(searches: Searches) -> Grid:
    """Every trial: its sampler, its end, its score, and its plan."""
    pairs = [(search, trial) for search in searches.runs for trial in search.trials]
    rows = [
        (
            Cell(f"{label(search, searches)} {trial.number}"),
            Cell(trial.status, trial.why),
            Cell(_NO_VALUE if trial.score is None else f"{trial.score:.4f}"),
            Cell(seconds(trial.seconds)),
            Cell("\n".join(map(brief, trial.plan.rules)) or "no noise"),
        )
        for search, trial in pairs[:_MAX_TRIALS]
    ]
    rest = len(pairs) - len(rows)
    omission = f"; {rest} more are not shown" if rest else ""
    return Grid(
        f"All trials in the order in which they began{omission}",
        ("trial", "status", score_name(searches), "time", "plan"),
        tuple(rows),
    )


def _mean(searches: Searches) -> str:
    seeds = searches.problem.seeds
    return "of one child" if seeds == 1 else f"the mean of {seeds} children, each with its own seed"
