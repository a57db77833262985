"""The searches of one problem and their trials, as values."""

from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, DropsmithError, excerpt
from dropsmith.files import check, json_text, read_json, write_text
from dropsmith.learn.problem import Problem
from dropsmith.learn.schemas import StoredSearch
from dropsmith.pattern_search import STORED_NAMES, Space, Trial
from dropsmith.plans import Plan

FORMAT, VERSION = "dropsmith.searched", 1
SUFFIX = ".search.json"

# The worker of a trial does not matter later, and the space has the plans and values.
_UNWRITTEN = ("worker", "plan", "choices")


@dataclass(frozen=True, kw_only=True)
class SearchRun:
    """One sampler's search with all its trials.

    Args:
        sampler: the name of the sampler.
        seed: of its proposals.
        pruner: the name of the pruner, or None.
        trials: all trials, in the order in which they began.
        command_words: of a recipe's search, the words after `dropsmith search` without the place
            of the data; else empty.
    """

    sampler: str
    seed: int
    pruner: str | None
    trials: tuple[Trial, ...]
    command_words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the search in its folder."""
        return f"{self.sampler.replace(':', '.')}-{self.seed}"

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that have a score."""
        return tuple(trial for trial in self.trials if trial.score is not None)

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest score, the earlier of equal ones."""
        return min(self.finished, key=score_of, default=None)

    @property
    def last_tries(self) -> tuple[Trial, ...]:
        """The last trial of each proposal; a lost trial is repeated."""
        return tuple({trial.proposal_index: trial for trial in self.trials}.values())

    def count(self, status: str) -> int:
        """The number of proposals whose last trial has this status."""
        return sum(trial.status == status for trial in self.last_tries)

    def to_json(self, problem: Problem) -> dict[str, Any]:
        """A JSON object with tokens for plans, which the problem's space makes from them."""
        head = {"format": FORMAT, "version": VERSION, "problem": problem.id}
        settings: dict[str, Any] = {
            "sampler": self.sampler,
            "seed": self.seed,
            "pruner": self.pruner,
        }
        if self.command_words:
            settings["typed"] = list(self.command_words)
        return head | settings | {"trials": [_trial_to_json(trial) for trial in self.trials]}

    @classmethod
    def from_json(cls, values: Any, space: Space) -> "SearchRun":
        """The search in a JSON object; `DataError` for anything else."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"it is not a search: its format is not {FORMAT!r}")
        if values.get("version") != VERSION:
            version = excerpt(values.get("version"))
            raise DataError(f"its version is {version}, and this dropsmith reads version {VERSION}")
        check(values, StoredSearch)
        trials = tuple(_trial_from_json(trial, space) for trial in values["trials"])
        settings = {name: values[name] for name in ("sampler", "seed", "pruner")}
        return cls(**settings, trials=trials, command_words=tuple(values.get("typed", ())))

    def save(self, folder: Path, problem: Problem) -> Path:
        """Write the search into a folder, whole or not at all, and return its path."""
        path = folder / f"{self.name}{SUFFIX}"
        write_text(path, json_text(self.to_json(problem)))
        return path


@dataclass(frozen=True, kw_only=True)
class Searches:
    """All searches of one problem, by sampler and seed."""

    problem: Problem
    runs: tuple[SearchRun, ...]

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest score of all searches."""
        trials = (run.best for run in self.runs)
        return min((trial for trial in trials if trial is not None), key=score_of, default=None)

    @property
    def plan(self) -> Plan:
        """The best complete plan: the fixed rules and those of the best trial.

        Raises:
            DataError: no trial has a score.
        """
        if self.best is None:
            raise DataError("no trial has a score, so there is no best plan")
        return self.problem.fixed_plan + self.best.plan

    def finalists(self, count: int) -> tuple[Plan, ...]:
        """The best complete plans by score. Scores are noisy: see `score_noise`."""
        return tuple(self.problem.fixed_plan + trial.plan for trial in self.ranked()[:count])

    def run_of(self, trial: Trial) -> SearchRun:
        """The search of a trial."""
        return next(run for run in self.runs if any(trial is member for member in run.trials))

    def ranked(self) -> tuple[Trial, ...]:
        """The best trial of each plan, from the best score on."""
        trials = sorted((trial for run in self.runs for trial in run.finished), key=score_of)
        first = {trial.plan: trial for trial in reversed(trials)}
        return tuple(trial for trial in trials if first[trial.plan] is trial)

    @classmethod
    def load(cls, folder: Path) -> "Searches":
        """All searches in a folder.

        Raises:
            DataError: there is none, or a file does not fit its name or the problem.
        """
        problem = Problem.load(folder)
        paths = sorted(folder.glob(f"*{SUFFIX}"))
        if not paths:
            raise DataError(
                f"no search in {folder} has finished\n  type its command again to continue it"
            )
        return cls(problem=problem, runs=tuple(_read(path, problem) for path in paths))


def score_of(trial: Trial) -> float:
    """The score of a trial, lower is better; infinite without a score."""
    return inf if trial.score is None else trial.score


def _read(path: Path, problem: Problem) -> SearchRun:
    try:
        values = read_json(path)
        run = SearchRun.from_json(values, problem.space)
        if values["problem"] != problem.id:
            raise DataError(
                f"it is of problem {excerpt(values['problem'])}, and the folder's is {problem.id!r}"
            )
        if path.name != f"{run.name}{SUFFIX}":
            raise DataError(f"it is the search {run.name} under another name")
    except (OSError, DropsmithError) as error:
        raise DataError(f"cannot read a search from {path}\n  {error}") from None
    return run


def _trial_to_json(trial: Trial) -> dict[str, Any]:
    """The fields that differ from a trial's defaults."""
    return {
        STORED_NAMES.get(field.name, field.name): _listed(value)
        for field in fields(trial)
        if field.name not in _UNWRITTEN and (value := getattr(trial, field.name)) != field.default
    }


def _listed(value: Any) -> Any:
    return list(map(_listed, value)) if isinstance(value, tuple) else value


def _trial_from_json(values: dict[str, Any], space: Space) -> Trial:
    tokens = tuple(values["tokens"])
    reports = tuple((_step(step), score) for step, score in values.get("reports", ()))
    if (values.get("status") == "finished") != (values.get("score") is not None):
        raise DataError(
            f"trial {values['number']} is {values.get('status', 'running')}, and its score is "
            f"{values.get('score')}\n  those that finished have a score, and no others"
        )
    stored = values | {"tokens": tokens, "reports": reports}
    names = {key: name for name, key in STORED_NAMES.items()}
    entries = {names.get(key, key): value for key, value in stored.items()}
    return Trial(**entries, plan=space.plan(tokens), choices=space.describe(tokens))


def _step(number: float) -> int:
    if not isinstance(number, int) or number < 0:
        raise DataError(f"a report has a step, counted from 0, got {excerpt(number)}")
    return number
