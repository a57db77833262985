"""A list of jobs over some processes."""

from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import Any

from dropsmith.workers.crew import Crew
from dropsmith.workers.events import Died, Done, Told

Tell = Callable[[float], None]
"""Tells which share of a job is done."""


def spread(
    work: Callable[[Any, Tell], Any], jobs: Sequence[Any], processes: int
) -> Generator[Told | Done | Died, None, None]:
    """Do every job in one of some processes, and yield what happens as it happens.

    Closing the iterator, or an interrupt in the middle of it, ends all processes.

    Args:
        work: a function at the top of a module, as processes start by importing it.
        jobs: picklable values, begun in this order.
        processes: how many run at the same time.
    """
    waiting = iter(enumerate(jobs))
    with Crew(work, processes) as crew:
        for number, job in islice(waiting, processes):
            crew.give(number, job)
        while crew.busy:
            for event in crew.wait():
                if not isinstance(event, Told | Done | Died):
                    raise TypeError(f"a job of a list has nobody to ask, but: {event!r}")
                yield event
                if not isinstance(event, Told):
                    _go_on(crew, next(waiting, None))


def _go_on(crew: Crew, job: tuple[int, Any] | None) -> None:
    if job is None:
        crew.dismiss()
    else:
        crew.give(*job)
