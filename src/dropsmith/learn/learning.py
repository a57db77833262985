"""A search for a plan on a task, whose trials are children, and its best plan."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dropsmith.files import keep_trying, remove_leftovers
from dropsmith.learn.child import Child
from dropsmith.learn.problem import Problem, problem_of
from dropsmith.learn.search_runs import Searches, SearchRun
from dropsmith.pattern_search import (
    Executor,
    Watch,
    closing_executor,
    executor_factory,
    make_pruner,
    make_sampler,
    search,
)
from dropsmith.train import Setup

STUDY, PLAN, CHILDREN, RETRAINED = "study.db", "plan.json", "children", "retrained"
"""Names in the folder of a search: the study, the best plan, the folder of the children's records,
and the folder of the comparison of the best plan with other methods on the test set."""

LEARNED = "learned"
"""The name of the best plan in that comparison."""

FIXED_PLAN = "beside.json"
"""The file in that folder with the fixed rules of every child, if there are any."""


def learn(
    setup: Setup,
    folder: Path,
    *,
    trials: int,
    sampler: str = "controller",
    seeds: int = 1,
    space: str = "auto",
    seed: int = 0,
    executor: str | Executor = "local",
    workers: int | None = None,
    pruner: str | None = None,
    timeout: float | None = None,
    storage: str | None = None,
    command_words: tuple[str, ...] = (),
    progress: Watch | None = None,
) -> Searches:
    """Search for the plan with the lowest validation loss, and save it as `plan.json`.

    The same call continues a search that was interrupted or killed. Searches with other samplers or
    seeds may share a folder, and are then shown together; `plan.json` is the best plan of all.

    Args:
        setup: the setup of every child, without its plan; see `child_setup`.
        folder: for all files.
        trials: the number of proposals, including those of earlier calls.
        sampler, executor, workers, pruner, timeout, progress: see `dropsmith.search`.
        seeds: the number of children of a plan, whose scores are averaged.
        space: `conv`, `sequence`, `units`, or `auto` for the one that suits the model.
        seed: of the proposals.
        storage: the address of the study; `study.db` in the folder where None.
        command_words: the words after `dropsmith search` of a recipe's search, for the page.

    Raises:
        SearchError: a name does not exist, or the folder holds searches with other
            children.
    """
    with closing_executor(executor):
        folder = folder.resolve()
        problem = problem_of(setup, seeds, space)
        child = Child(setup=_from_anywhere(setup), folder=folder / CHILDREN, seeds=seeds)
        # A wrong name must be refused before the folder is bound to these children.
        make_sampler(sampler, problem.space, seed)
        executor_factory(executor, child, workers, timeout)
        make_pruner(pruner)
        problem.bind(folder)
        if setup.plan.rules:
            setup.plan.save(folder / FIXED_PLAN)
        with _without_leftovers(folder, folder / CHILDREN):
            result = search(
                child,
                problem.space,
                trials=trials,
                sampler=sampler,
                executor=executor,
                workers=workers,
                storage=storage or folder / STUDY,
                name=_name(problem, sampler, seed),
                seed=seed,
                direction="minimise",
                pruner=pruner,
                timeout=timeout,
                progress=progress,
            )
        run = SearchRun(
            sampler=sampler,
            seed=seed,
            pruner=pruner,
            trials=result.trials,
            command_words=command_words,
        )
        keep_trying(lambda: run.save(folder, problem), folder)
        searches = Searches.load(folder)
        keep_trying(lambda: searches.plan.save(folder / PLAN), folder / PLAN)
        return searches


@contextmanager
def _without_leftovers(*folders: Path) -> Iterator[None]:
    """Remove half-written files of killed processes, before and after a `with` block."""
    try:
        for folder in folders:
            remove_leftovers(folder)
        yield
    finally:
        for folder in folders:
            remove_leftovers(folder)


def _from_anywhere(setup: Setup) -> Setup:
    """The same setup with an absolute path, for a process in another working directory."""
    data = setup.data
    return setup if data is None else replace(setup, data=str(Path(data).resolve()))


def _name(problem: Problem, sampler: str, seed: int) -> str:
    # A database server may have studies of several tasks and budgets.
    name = f"{Path(problem.task).name}-{problem.id[:6]}-{sampler}-{seed}"
    return re.sub(r"[^\w.-]", "_", name)
