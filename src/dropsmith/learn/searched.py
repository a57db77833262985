"""What searches of one problem found, as values that a page is made of."""

import json
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError
from dropsmith.learn.problem import Problem
from dropsmith.pattern_search import STORED_NAMES, Space, Trial
from dropsmith.sites import Plan

FORMAT, VERSION = "dropsmith.searched", 1
SUFFIX = ".search.json"

# Which machine ran a trial is of no use to who reads it later; what the space says is not repeated.
_UNWRITTEN = ("worker", "plan", "chosen")


@dataclass(frozen=True, kw_only=True)
class Searched:
    """How one sampler's search went.

    Args:
        sampler: its name.
        seed: what its proposals depended on.
        pruner: what stopped trials early, or None.
        trials: all of them, in the order they were begun.
        typed: the words after `dropsmith search` that it is made of, but for where data lies, where
            they say what no setting here does: the name of a recipe.
    """

    sampler: str
    seed: int
    pruner: str | None
    trials: tuple[Trial, ...]
    typed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What its file is called, and what it is called beside other searches."""
        return f"{self.sampler}-{self.seed}"

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that have a score."""
        return tuple(trial for trial in self.trials if trial.score is not None)

    @property
    def best(self) -> Trial | None:
        """The trial of least score, the earlier of equals."""
        return min(self.finished, key=score_of, default=None)

    def count(self, status: str) -> int:
        """How many trials ended like this."""
        return sum(trial.status == status for trial in self.trials)

    def to_json(self, problem: Problem) -> dict[str, Any]:
        """A JSON object; tokens stand for plans, which the problem's space makes of them."""
        head = {"format": FORMAT, "version": VERSION, "problem": problem.id}
        own: dict[str, Any] = {"sampler": self.sampler, "seed": self.seed, "pruner": self.pruner}
        if self.typed:
            own["typed"] = list(self.typed)
        return head | own | {"trials": [_trial_to_json(trial) for trial in self.trials]}

    @classmethod
    def from_json(cls, values: Any, space: Space) -> "Searched":
        """The search in a JSON object; `DataError` for anything else."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"not a search: its format is not {FORMAT!r}")
        if values.get("version") != VERSION:
            raise DataError(f"a search of version {values.get('version')!r}; read is {VERSION}")
        trials = tuple(_trial_from_json(one, space) for one in values["trials"])
        own = {name: values[name] for name in ("sampler", "seed", "pruner")}
        return cls(**own, trials=trials, typed=tuple(values.get("typed", ())))

    def save(self, folder: Path, problem: Problem) -> Path:
        """Write it into a folder, whole or not at all, and return its path."""
        path = folder / f"{self.name}{SUFFIX}"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.to_json(problem), indent=1) + "\n")
        return partial.replace(path)


@dataclass(frozen=True, kw_only=True)
class Searches:
    """All searches of one problem, by sampler and seed."""

    problem: Problem
    found: tuple[Searched, ...]

    @property
    def best(self) -> Trial | None:
        """The trial of least score over all of them."""
        trials = (search.best for search in self.found)
        return min((one for one in trials if one is not None), key=score_of, default=None)

    @property
    def plan(self) -> Plan:
        """The best plan, whole: the rules that every child had, and those that were found.

        Raises:
            DataError: no trial came to a score.
        """
        if self.best is None:
            raise DataError("no trial came to a score, so there is no best plan")
        return self.problem.beside + self.best.plan

    def finalists(self, most: int) -> tuple[Plan, ...]:
        """The best plans, whole, from the best score on. A score is one draw: see `score_noise`."""
        return tuple(self.problem.beside + trial.plan for trial in self.ranked()[:most])

    def by(self, trial: Trial) -> Searched:
        """The search that a trial is of."""
        return next(one for one in self.found if any(trial is own for own in one.trials))

    def ranked(self) -> tuple[Trial, ...]:
        """Different plans from the best score on, each in the trial that scored it best."""
        every = sorted((t for one in self.found for t in one.finished), key=score_of)
        first = {trial.plan: trial for trial in reversed(every)}
        return tuple(trial for trial in every if first[trial.plan] is trial)

    @classmethod
    def load(cls, folder: Path) -> "Searches":
        """Every search whose file is in a folder.

        Raises:
            DataError: there is none, or a file is not what its name says.
        """
        problem = Problem.load(folder)
        paths = sorted(folder.glob(f"*{SUFFIX}"))
        if not paths:
            raise DataError(
                f"no search in {folder} has come to its end\n  the command that began it goes on"
            )
        return cls(problem=problem, found=tuple(_read(path, problem) for path in paths))


def score_of(trial: Trial) -> float:
    """A trial's score, of which less is better; infinite where it has none."""
    return inf if trial.score is None else trial.score


def _read(path: Path, problem: Problem) -> Searched:
    try:
        values = json.loads(path.read_text())
        found = Searched.from_json(values, problem.space)
        if values["problem"] != problem.id:
            raise DataError(f"it is of problem {values['problem']!r}, and here is {problem.id!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read a search from {path}\n  {error}") from None
    return found


def _trial_to_json(trial: Trial) -> dict[str, Any]:
    """What differs from a trial's defaults."""
    return {
        STORED_NAMES.get(each.name, each.name): value
        for each in fields(trial)
        if each.name not in _UNWRITTEN and (value := getattr(trial, each.name)) != each.default
    }


def _trial_from_json(values: dict[str, Any], space: Space) -> Trial:
    tokens = tuple(values["tokens"])
    reports = tuple((int(step), float(score)) for step, score in values.get("reports", ()))
    stored = values | {"tokens": tokens, "reports": reports}
    names = {key: name for name, key in STORED_NAMES.items()}
    entries = {names.get(key, key): value for key, value in stored.items()}
    return Trial(**entries, plan=space.plan(tokens), chosen=space.describe(tokens))
