"""How a search is made again: what to type, where that says all of it."""

import shlex
from pathlib import Path

from dropsmith.learn import BESIDE, FILE, Searched, Searches
from dropsmith.pattern_search import ConvSpace, SequenceSpace
from dropsmith.report.again import unusual
from dropsmith.report.html import code, paragraph
from dropsmith.tasks import TASKS

_SPACES = {ConvSpace: "conv", SequenceSpace: "sequence"}


def again(search: Searched, searches: Searches, data: Path | None = None) -> str:
    """The command as it stands on the page, or what there is in place of one."""
    if search.typed or _as_the_task_steps(searches):
        return code(command(search, searches, data))
    return paragraph(
        "Its children step otherwise than their task does, which no command says: "
        f"dropsmith.learn.learn, with the configuration in {FILE}."
    )


def command(search: Searched, searches: Searches, data: Path | None = None) -> str:
    """What to type to make a search again; DIR stands for data of a place not known."""
    problem, config = searches.problem, searches.problem.config
    place = str(data or "DIR") if problem.environment.get("data_given") else None
    own = config["task"] not in TASKS
    if search.typed:
        where = () if place is None else ("--data", place)
        return shlex.join(["dropsmith", "search", *search.typed, *where])
    options = {
        "--trials": 1 + max(trial.proposal_index for trial in search.trials),
        "--sampler": search.sampler,
        "--space": _SPACES.get(type(problem.space)),
        "--seeds-per-plan": problem.seeds if problem.seeds > 1 else None,
        "--pruner": search.pruner,
        "--budget": config["budget"]["epochs"],
        "--batch-size": unusual(config, "batch_size"),
        "--learning-rate": unusual(config, "learning_rate"),
        "--limit": config["limit"],
        "--data": None if own else place,
        "--model": config["model"],
        "--plan": BESIDE if problem.beside.rules else None,
        "--precision": config["precision"] if config["precision"] != "no" else None,
        "--seed": search.seed or None,
    }
    words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
    task = place if own and place else config["task"]
    return shlex.join(["dropsmith", "search", task, *words])


def _as_the_task_steps(searches: Searches) -> bool:
    """Whether children have their task's budget but for what a command can say of it."""
    config = searches.problem.config
    task = TASKS.get(config["task"])
    said = {"epochs": 0, "batch_size": 0, "learning_rate": 0}
    return task is None or task.budget.to_json() | said == config["budget"] | said
