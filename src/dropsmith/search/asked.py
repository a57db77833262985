"""What a search is asked for by name: a sampler, an executor."""

from collections.abc import Callable

from dropsmith.errors import SearchError, did_you_mean
from dropsmith.search.attempt import Score
from dropsmith.search.executor import Executor
from dropsmith.search.local import LocalExecutor
from dropsmith.search.sampler import Sampler
from dropsmith.search.samplers import SAMPLERS
from dropsmith.search.serial import SerialExecutor
from dropsmith.search.space import Space

EXECUTORS = ("local", "serial", "ray")


def sampler_of(asked: str | Sampler, space: Space, seed: int) -> Sampler:
    """The sampler of a name, new, or a sampler as it is where it is of this space."""
    if isinstance(asked, Sampler):
        if asked.space != space:
            raise SearchError("the sampler proposes from another space than the one searched")
        return asked
    if asked not in SAMPLERS:
        raise SearchError(
            f"no sampler is called {asked!r}\n  there are: {', '.join(SAMPLERS)}"
            + did_you_mean(asked, SAMPLERS)
        )
    return SAMPLERS[asked](space, seed=seed)  # pyright: ignore[reportCallIssue]


def maker_of(
    asked: str | Executor, score: Score, workers: int | None, timeout: float | None
) -> Callable[[], Executor]:
    """What makes the executor, once it is known that there is something to run."""
    if isinstance(asked, Executor):
        return lambda: asked
    if asked == "local":
        return lambda: LocalExecutor(score, workers, timeout=timeout)
    if asked == "serial":
        if timeout is not None or (workers or 1) > 1:
            raise SearchError("executor='serial' has one worker and no timeout: use 'local'")
        return lambda: SerialExecutor(score)
    if asked == "ray" or asked.startswith(("ray:", "ray://")):
        from dropsmith.search.ray import RayExecutor

        address = asked if asked.startswith("ray://") else asked.partition(":")[2]
        return lambda: RayExecutor(score, workers, address or None, timeout=timeout)
    raise SearchError(
        f"no executor is called {asked!r}\n  there are: {', '.join(EXECUTORS)}, ray:ADDRESS"
        + did_you_mean(asked, EXECUTORS)
    )
