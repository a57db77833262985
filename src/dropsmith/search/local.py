"""Trials in processes of this machine, any of which may be killed at any time."""

import pickle
from functools import partial
from typing import final

from dropsmith.errors import SearchError
from dropsmith.search.attempt import Score, attempt, takes_trial
from dropsmith.search.executor import Ended, Event, Executor, Failed, Job, Reported
from dropsmith.workers import Asked, Crew, Died, Done, Line, Overdue, Told, cores
from dropsmith.workers import Event as WorkersEvent


@final
class LocalExecutor(Executor):
    """Runs each trial in a process of its own, which is kept for the next.

    A process that is killed, by a person or for want of memory, costs its trial alone.
    A trial may load its data in processes of its own; they end with the trial's.

    Args:
        score: a function at the top of a module, as processes start by importing it.
        workers: how many trials run at the same time; one for each processor where None.
        timeout: seconds that a trial may take; then its process is ended.
        threads: that torch uses in each; an equal share of the processors where None.

    Raises:
        SearchError: the function cannot be sent to another process.
    """

    def __init__(
        self,
        score: Score,
        workers: int | None = None,
        *,
        timeout: float | None = None,
        threads: int | None = None,
    ) -> None:
        takes_trial(score)
        _check_sendable(score)
        self.slots = workers or cores()
        self._crew = Crew(
            partial(_work, score, threads or max(1, cores() // self.slots)),
            self.slots,
            timeout=timeout,
        )

    def submit(self, job: Job) -> None:
        self._crew.give(job.number, job)

    def wait(self, timeout: float | None = None) -> list[Event]:
        return [_read(event) for event in self._crew.wait(timeout)]

    def answer(self, number: int, go_on: bool) -> None:
        self._crew.answer(number, go_on)

    def close(self) -> None:
        self._crew.close()


def _work(score: Score, threads: int, job: Job, line: Line) -> Ended:
    import torch

    torch.set_num_threads(threads)
    return attempt(score, job, line.ask)


def _read(event: WorkersEvent) -> Event:
    match event:
        case Asked(number, (step, value)):
            return Reported(number, step, value)
        case Done(_, result):
            return result
        case Overdue(number, seconds):
            return Failed(number, f"it took longer than {seconds:g} s", seconds=seconds)
        case Died(_, 1, began=False):
            raise SearchError(
                "the scoring function cannot be loaded in another process; the fault is above\n"
                "  put it at the top of a module, and what starts the search under\n"
                '  if __name__ == "__main__":'
            )
        case Died(number, code):
            return Failed(number, f"its process ended with {_how(code)}", lost=True)
        case Told() | Asked():
            raise TypeError(f"a trial says nothing of this kind: {event!r}")


def _how(code: int | None) -> str:
    if code == -9:
        return "signal 9: killed, perhaps for want of memory"
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _check_sendable(score: Score) -> None:
    try:
        pickle.dumps(score)
    except Exception as error:  # whatever its own parts raise when they are pickled
        raise SearchError(
            f"{score!r} cannot be sent to another process\n  {error}\n"
            "  define it at the top of a module, or use executor='serial'"
        ) from None
