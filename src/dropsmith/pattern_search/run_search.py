"""The search itself: a scoring function and a space, with a sampler, executor and storage."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dropsmith.errors import ArgumentError, SearchError, excerpt
from dropsmith.instances import check_word, is_function
from dropsmith.numbers import check_seed, is_count
from dropsmith.pattern_search.components import (
    check_space,
    closing_executor,
    executor_factory,
    make_pruner,
    make_sampler,
)
from dropsmith.pattern_search.executors.executor import Executor, Score
from dropsmith.pattern_search.executors.trial_context import takes_trial
from dropsmith.pattern_search.samplers.sampler import Sampler
from dropsmith.pattern_search.spaces.space import Space
from dropsmith.pattern_search.storage import DEFAULT
from dropsmith.pattern_search.study import Study
from dropsmith.pattern_search.study_binding import open_trial_log
from dropsmith.pattern_search.trial import Result, Watch, best_of

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

_LONGEST_NAME = 200
"""A file is called by it, whose name may have 255 bytes."""

SIGNS = {"maximise": 1, "minimise": -1}


def search(
    score: Score,
    space: Space,
    *,
    trials: int,
    sampler: str | Sampler = "controller",
    executor: str | Executor = "local",
    workers: int | None = None,
    storage: "str | Path | BaseStorage | None" = None,
    name: str = "search",
    seed: int = 0,
    direction: Literal["maximise", "minimise"] = "maximise",
    pruner: "str | BasePruner | None" = None,
    timeout: float | None = None,
    retries: int = 2,
    progress: Watch | None = None,
) -> Result:
    """Score plans of a space, and learn from the scores which to try next.

    The study is written down as it goes. Whatever is killed, the same call goes on with it: a
    trial that was half run is tried again with the same plan and seed, and the sampler learns all
    earlier results again. With one worker an interrupted search and an uninterrupted one are the
    same where there is no pruner or it is `"median"`; under `"asha"` and `"hyperband"` they may
    differ.

    >>> from dropsmith.patterns import Bernoulli
    >>> from dropsmith.pattern_search import Choice, ListedSpace, part
    >>> from dropsmith.plans import rule
    >>> rate = Choice("hidden.rate", (0.1, 0.3, 0.5))
    >>> hidden = part(rule("hidden", Bernoulli(rate=0.1)), sets={"rate": "hidden.rate"})
    >>> space = ListedSpace((rate,), (hidden,))
    >>> def score(plan):
    ...     return -abs(plan.rules[0].pattern.rate - 0.3)
    >>> from optuna.storages import InMemoryStorage
    >>> settings = dict(sampler="random", executor="serial", storage=InMemoryStorage())
    >>> search(score, space, trials=20, **settings).plan
    Plan(
        rule('hidden', Bernoulli(rate=0.3)),
    )

    Args:
        score: `score(plan)` or `score(plan, trial)`, which trains a model under the plan and
            returns its validation score; `trial.report(step, value)` says how far it has come. It
            must be at the top of a module where processes or machines are to load it.
        space: of the plans to choose from.
        trials: the number of proposals to try, those of earlier runs of this study among them.
        sampler: `"controller"`, `"random"`, `"tpe"` or `"evolution"`, or a sampler of yours
            without results yet; the latter has its own seed.
        executor: `"local"`: processes here; `"serial"`: one by one in this process; `"ray"`: a Ray
            cluster started here; `"ray:ADDRESS"`: a running one; or an executor, which scores by
            `score` from now on, has its own workers and timeout, and is closed whatever happens.
        workers: the number of trials at the same time; one for each processor where None.
        storage: a SQLite file, `journal:FILE`, `postgresql://USER@HOST/DATABASE`, or a storage of
            Optuna's; `runs/search.db` where None.
        name: of the study, of which a storage may hold several.
        seed: of the proposals, and of each trial's own seed.
        direction: whether higher or lower scores are better.
        pruner: `"asha"`, `"hyperband"`, `"median"` or a pruner of Optuna's, which stops trials by
            their reports; nothing is stopped where None.
        timeout: seconds that one trial may take.
        retries: the number of times a trial is tried again that ended with its process, or for
            want of memory or room on a disk.
        progress: is called when a trial begins or ends.

    Raises:
        SearchError: a name does not exist, an argument does not fit the study as it was begun, or
            no trial has a score.
    """
    with closing_executor(executor):
        takes_trial(score)
        check_space(space)
        _check(trials, retries, seed, name, direction)
        if progress is not None and not is_function(progress):
            raise ArgumentError(f"progress is a function of a Progress, got {excerpt(progress)}")
        proposer = make_sampler(sampler, space, seed)
        sign, address = SIGNS[direction], DEFAULT if storage is None else storage
        make_executor = executor_factory(executor, score, workers, timeout)
        in_process = isinstance(executor, Executor) or executor == "serial"
        with (
            nullcontext()
            if in_process
            else _one_thread(),  # scores of this process keep their threads
            open_trial_log(
                address, name, proposer, direction, make_pruner(pruner), _print_line
            ) as log,
        ):
            study = Study(log, proposer, total=trials, sign=sign, retries=retries, watch=progress)
            try:
                study.run(make_executor)
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(
                    f"interrupted after {study.done} of {trials} trials, which are kept: "
                    "the same search goes on with them"
                )
                raise
        return _result(study, sign)


@contextmanager
def _one_thread() -> Iterator[None]:
    # A sampler's tensors are small: several threads only wait, for the children's above all.
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _print_line(line: str) -> None:
    print(line, file=sys.stderr)


def _result(study: Study, sign: int) -> Result:
    trials = tuple(study.trials[number] for number in sorted(study.trials))
    best = best_of(trials, sign)
    if best is None or best.score is None:
        why = next((f"\n  trial {trial.number}: {trial.why}" for trial in trials if trial.why), "")
        raise SearchError(f"none of {len(trials)} trials has a score{why}")
    return Result(plan=best.plan, score=best.score, trials=trials)


def _check(trials: int, retries: int, seed: int, name: str, direction: str) -> None:
    if not is_count(trials, 1):
        raise SearchError(f"a search is of one trial or more, got trials={excerpt(trials)}")
    if not is_count(retries, 0):
        raise SearchError(f"a trial is tried again 0 times or more, got retries={excerpt(retries)}")
    check_seed(seed, SearchError)
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name) or len(name) > _LONGEST_NAME:
        raise SearchError(
            f"a search is called by letters, digits, '.', '-' and '_', not {excerpt(name)}"
        )
    check_word("direction", direction, SIGNS, SearchError)
