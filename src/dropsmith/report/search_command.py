"""The commands that make a search again, compare its best plan, or train under it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropsmith.learn import FILE, FIXED_PLAN, PLAN, Searches, SearchRun
from dropsmith.pattern_search import ConvSpace, SequenceSpace
from dropsmith.report.html import code, paragraph
from dropsmith.report.reproduce_command import (
    Place,
    is_path,
    option_words,
    place_words,
    task_word,
    unusual,
    usual_folder,
)
from dropsmith.tasks import TASKS

_SPACES = {ConvSpace: "conv", SequenceSpace: "sequence"}


def search_command_html(search: SearchRun, searches: Searches, place: Place | None = None) -> str:
    """The command on the page, or a paragraph where no command has all settings."""
    if has_command(search, searches):
        return code(search_command(search, searches, place))
    if _space_kind(searches) is None:
        reason = (
            "Its space of plans was written by hand, which no option of dropsmith search reads."
        )
    else:
        reason = "Its models are trained with a budget that no option of dropsmith search sets."
    return paragraph(
        f"{reason} To search again, call dropsmith.learn.learn with the problem in {FILE}."
    )


def has_command(search: SearchRun, searches: Searches) -> bool:
    """Say whether a command makes a search again.

    A recipe's does, and `dropsmith search` where the budget is the task's own and the space is
    one that `--space` names.
    """
    has_options = _has_task_budget(searches) and _space_kind(searches) is not None
    return bool(search.command_words) or has_options


def search_command(
    search: SearchRun,
    searches: Searches,
    place: Place | None = None,
    *,
    trials: int | None = None,
    retrain_seeds: int | None = None,
    retrain_with: Sequence[str] = (),
) -> str:
    """The command that makes a search again.

    Args:
        search: the search.
        searches: all searches of its folder.
        place: the data, its options and the folder; DIR stands for data of an unknown place.
        trials: the number of trials, where it is not that of the search.
        retrain_seeds: the seeds of the comparison on the test set; None for no comparison.
        retrain_with: the methods of that comparison; empty for the usual ones.
    """
    place = place or Place()
    config = searches.problem.config
    extra = {
        "--retrain-seeds": retrain_seeds,
        "--retrain-with": ",".join(retrain_with) or None,
    }
    if search.command_words:
        words = list(search.command_words)
        if trials is not None:
            words = [*_without("--trials", words), "--trials", str(trials)]
        words += _data_words(searches, place)
    else:
        words = [_task_word(searches, place), *_settings(search, searches, place, trials)]
    words += option_words(extra)
    return shlex.join(
        ["dropsmith", "search", *words, *place_words(place, _folder(search, config), config)]
    )


def train_under_plan_command(search: SearchRun, searches: Searches, place: Place) -> str:
    """The command that trains a search's task, or its recipe, under the best plan."""
    config = searches.problem.config
    if search.command_words:
        name, *typed = search.command_words
        preset = typed[typed.index("--preset") :][:2] if "--preset" in typed else []
        words = [*preset, *_data_words(searches, place)]
    else:
        name = _task_word(searches, place)
        words = option_words(
            {
                "--data": None if is_path(config) else _data(searches, place),
                "--model": config["model"],
                "--limit": config["limit"],
            }
        )
    plan = str((place.folder or Path()) / PLAN)
    words += place_words(Place(data_options=place.data_options), Path(), config)
    return shlex.join(["dropsmith", "train", name, "--plan", plan, *words])


def _settings(search: SearchRun, searches: Searches, place: Place, trials: int | None) -> list[str]:
    problem, config = searches.problem, searches.problem.config
    fixed_plan = str(place.folder / FIXED_PLAN) if place.folder else FIXED_PLAN
    options: dict[str, Any] = {
        "--trials": trials or 1 + max(trial.proposal_index for trial in search.trials),
        "--sampler": search.sampler,
        "--space": _space_kind(searches),
        "--seeds-per-plan": problem.seeds if problem.seeds > 1 else None,
        "--pruner": search.pruner,
        "--budget": config["budget"]["epochs"],
        "--batch-size": unusual(config, "batch_size"),
        "--learning-rate": unusual(config, "learning_rate"),
        "--limit": config["limit"],
        "--data": None if is_path(config) else _data(searches, place),
        "--model": config["model"],
        "--plan": fixed_plan if problem.fixed_plan.rules else None,
        "--precision": config["precision"] if config["precision"] != "no" else None,
        "--seed": search.seed or None,
    }
    return option_words(options)


def _space_kind(searches: Searches) -> str | None:
    """The word of `--space` that makes the space, or None for a space written by hand."""
    problem = searches.problem
    return problem.environment.get("space_kind") or _SPACES.get(type(problem.space))


def _folder(search: SearchRun, config: dict[str, Any]) -> Path:
    """The folder of a search where its command names none."""
    if search.command_words:
        return Path("runs") / f"search-{search.command_words[0]}".replace("/", "-")
    return usual_folder(config, "search-")


def _data(searches: Searches, place: Place) -> str | None:
    given = searches.problem.environment.get("data_given")
    return str(place.data or "DIR") if given else None


def _data_words(searches: Searches, place: Place) -> list[str]:
    return option_words({"--data": _data(searches, place)})


def _task_word(searches: Searches, place: Place) -> str:
    config = searches.problem.config
    return task_word(config, place, data_given=_data(searches, place) is not None)


def _without(option: str, words: Sequence[str]) -> list[str]:
    """The words without an option and its value."""
    if option not in words:
        return list(words)
    index = words.index(option)
    return [*words[:index], *words[index + 2 :]]


def _has_task_budget(searches: Searches) -> bool:
    """Say whether models have their task's budget, apart from what a command can set."""
    config = searches.problem.config
    task = TASKS.get(config["task"])
    options = {"epochs": 0, "batch_size": 0, "learning_rate": 0}
    return task is None or task.budget.to_json() | options == config["budget"] | options
