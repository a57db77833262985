"""The parts of a search that have names: sampler, executor, pruner."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dropsmith.errors import DropsmithError, SearchError, did_you_mean, excerpt
from dropsmith.instances import describe, wrong_instance
from dropsmith.numbers import check_seed
from dropsmith.pattern_search.executors.executor import MOST_REMOTE, Executor, Score, check_limits
from dropsmith.pattern_search.executors.local import LocalExecutor, SerialExecutor
from dropsmith.pattern_search.samplers.controller import Controller
from dropsmith.pattern_search.samplers.optuna_samplers import TPE, Evolution, RandomSampler
from dropsmith.pattern_search.samplers.sampler import Sampler
from dropsmith.pattern_search.spaces.space import Space
from dropsmith.plans import Plan
from dropsmith.user_code import fault_line, import_object, is_reference
from dropsmith.workers import MOST

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

SAMPLERS: dict[str, type[Sampler]] = {
    "controller": Controller,
    "random": RandomSampler,
    "tpe": TPE,
    "evolution": Evolution,
}

EXECUTORS = ("local", "serial", "ray")

PRUNERS = {
    "asha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "median": "MedianPruner",
}
"""Names, and what Optuna calls each (Li et al. 2020; Li et al. 2018; Golovin et al. 2017)."""


_SPACES = {
    "conv": "spaces.conv(model, batch)",
    "sequence": "spaces.sequence(model, batch)",
    "units": "spaces.units(model, batch)",
    "ConvSpace": "spaces.conv(model, batch)",
    "SequenceSpace": "spaces.sequence(model, batch)",
}
"""Lines that make a space, for errors."""

_SPACE_OF_PLAN = (
    "spaces.conv(model, batch), spaces.sequence(model, batch) or spaces.units(model, batch), which "
    "hold all plans to choose from: a plan is a single one"
)


def check_space(space: object) -> None:
    """Raise `SearchError` unless this is a space."""
    if not isinstance(space, Space):
        advice = _SPACE_OF_PLAN if isinstance(space, Plan) else None
        raise wrong_instance(SearchError, "a search takes a space", space, _SPACES, advice)


def make_sampler(name: str | Sampler, space: Space, seed: int) -> Sampler:
    """The sampler of a name, new, or a sampler as it is where it is of this space.

    Raises:
        SearchError: `space` is no space, no sampler has this name, or the sampler is of another
            space.
    """
    check_space(space)
    if isinstance(name, Sampler):
        if name.space != space:
            raise SearchError("the sampler was made for another space than that of the search")
        return name
    if is_reference(name):
        return _user_sampler(name, space, seed)
    if not isinstance(name, str) or name not in SAMPLERS:
        raise SearchError(
            f"no sampler is called {excerpt(name)}\n  samplers: {', '.join(SAMPLERS)}"
            + did_you_mean(name, SAMPLERS)
        )
    check_seed(seed, SearchError)
    return SAMPLERS[name](space, seed=seed)  # pyright: ignore[reportCallIssue]


def _user_sampler(reference: str, space: Space, seed: int) -> Sampler:
    """The sampler that a class or function of the user's own makes of a space and a seed."""
    make = import_object(reference, "sampler", SearchError)
    try:
        sampler = make(space, seed=seed)
    except DropsmithError:
        raise
    except Exception as error:  # the user's own code, whatever it does
        raise SearchError(
            f"{reference} makes no sampler: {type(error).__name__}: {error}{fault_line(error)}\n"
            "  it is called with a space and seed=, as in Mine(space, seed=0)"
        ) from error
    if not isinstance(sampler, Sampler):
        raise SearchError(
            f"{reference} makes {describe(sampler)}\n"
            "  a sampler is of a subclass of dropsmith.pattern_search.Sampler"
        )
    return sampler


def executor_factory(
    name: str | Executor, score: Score, workers: int | None, timeout: float | None
) -> Callable[[], Executor]:
    """A function that makes the executor, for when it is known that there is something to run.

    Raises:
        SearchError: no executor has this name, or it cannot have these workers or this timeout.
    """
    if not isinstance(name, str | Executor):
        raise SearchError(f"executor is a name such as 'local', got {excerpt(name)}")
    if isinstance(name, Executor):
        return _bound_to(name, score, workers, timeout)
    check_limits(workers, timeout, MOST_REMOTE if name.startswith("ray") else MOST)
    if name == "local":
        return lambda: LocalExecutor(score, workers, timeout=timeout)
    if name == "serial":
        if timeout is not None or (workers or 1) > 1:
            raise SearchError("executor='serial' has one worker and no timeout: use 'local'")
        return lambda: SerialExecutor(score)
    if name == "ray" or name.startswith(("ray:", "ray://")):
        from dropsmith.pattern_search.executors.ray_executor import RayExecutor

        address = name if name.startswith("ray://") else name.partition(":")[2]
        return lambda: RayExecutor(score, workers, address or None, timeout=timeout)
    raise SearchError(
        f"no executor is called {excerpt(name)}\n  executors: {', '.join(EXECUTORS)}, ray:ADDRESS"
        + did_you_mean(name, EXECUTORS)
    )


def _bound_to(
    executor: Executor, score: Score, workers: int | None, timeout: float | None
) -> Callable[[], Executor]:
    for name, value in (("workers", workers), ("timeout", timeout)):
        if value is not None:
            raise SearchError(
                f"the executor has its own {name}, so {name}={excerpt(value)} cannot "
                "be set as well\n"
                f"  give {name} where the executor is made, or name one: executor='local'"
            )
    executor.set_score(score)
    return lambda: executor


@contextmanager
def closing_executor(executor: str | Executor) -> Iterator[None]:
    """Close an executor after a `with` block, whether anything ran on it or not."""
    try:
        yield
    finally:
        if isinstance(executor, Executor):
            executor.close()


def make_pruner(name: "str | BasePruner | None") -> "BasePruner":
    """The pruner of a name, a pruner as it is, or for None one that never stops a trial.

    Raises:
        SearchError: no pruner has this name.
    """
    from optuna import pruners

    if name is None:
        return pruners.NopPruner()  # Optuna's own default would stop trials
    if isinstance(name, pruners.BasePruner):
        return name
    if not isinstance(name, str) or name not in PRUNERS:
        raise SearchError(
            f"no pruner is called {excerpt(name)}\n  pruners: {', '.join(PRUNERS)}"
            + did_you_mean(name, PRUNERS)
        )
    return getattr(pruners, PRUNERS[name])()
