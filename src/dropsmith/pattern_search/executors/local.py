"""Executors on this machine: processes that may be killed at any time, or a thread of this one."""

import pickle
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import final

from dropsmith.errors import SearchError, excerpt
from dropsmith.numbers import check_whole
from dropsmith.pattern_search.executors.executor import (
    Event,
    Executor,
    Job,
    Score,
    ScoreReport,
    TrialEnd,
    TrialFailed,
    check_limits,
)
from dropsmith.pattern_search.executors.trial_context import run_trial, takes_trial
from dropsmith.workers import (
    MOST,
    Crew,
    Died,
    Done,
    JobProgress,
    JobQuestion,
    Line,
    Overdue,
    cores,
    exit_reason,
)
from dropsmith.workers import Event as WorkersEvent


@final
class LocalExecutor(Executor):
    """Runs each trial in a process of its own, which is kept for the next.

    If a process is killed, by a person or for lack of memory, only its trial is lost. Processes
    that a trial starts, such as for loading data, end with the trial.

    Args:
        score: a function at the top of a module, as processes start by importing it.
        workers: how many trials run at the same time; one for each processor where None.
        timeout: seconds that a trial may take; then its process is ended.
        threads: that torch uses in each; an equal share of the processors where None.

    Raises:
        SearchError: the function cannot be sent to another process, or there can be no such number
            of workers or seconds.
    """

    def __init__(
        self,
        score: Score,
        workers: int | None = None,
        *,
        timeout: float | None = None,
        threads: int | None = None,
    ) -> None:
        check_limits(workers, timeout)
        if threads is not None:
            check_whole("threads", threads, 1, SearchError, MOST)
        self.slots = workers or cores()
        self._timeout, self._threads = timeout, threads or max(1, cores() // self.slots)
        self._crew = self._new_crew(score)

    def set_score(self, score: Score) -> None:
        self._crew.close()
        self._crew = self._new_crew(score)

    def _new_crew(self, score: Score) -> Crew:
        takes_trial(score)
        _check_sendable(score)
        return Crew(partial(_work, score, self._threads), self.slots, timeout=self._timeout)

    def submit(self, job: Job) -> None:
        self._crew.give(job.number, job)

    def wait(self, timeout: float | None = None) -> list[Event]:
        return [_read(event) for event in self._crew.wait(timeout)]

    def answer(self, number: int, go_on: bool) -> None:
        self._crew.answer(number, go_on)

    def close(self) -> None:
        self._crew.close()


def _work(score: Score, threads: int, job: Job, line: Line) -> TrialEnd:
    import torch

    torch.set_num_threads(threads)
    return run_trial(score, job, line.ask)


def _read(event: WorkersEvent) -> Event:
    match event:
        case JobQuestion(number, (step, value)):
            return ScoreReport(number, step, value)
        case Done(_, result):
            return result
        case Overdue(number, seconds):
            return TrialFailed(number, f"it took longer than {seconds:g} s", seconds=seconds)
        case Died(_, 1, began=False):
            raise SearchError(
                "the scoring function cannot be loaded in another process; the error is above\n"
                "  put it at the top of a module, and what starts the search under\n"
                '  if __name__ == "__main__":'
            )
        case Died(number, code):
            return TrialFailed(
                number, f"its process ended with {exit_reason(code)}", retriable=True
            )
        case JobProgress() | JobQuestion():
            raise TypeError(f"a trial says nothing of this kind: {event!r}")


def _check_sendable(score: Score) -> None:
    try:
        pickle.dumps(score)
    except Exception as error:  # whatever its own parts raise when they are pickled
        raise SearchError(
            f"{excerpt(score)} cannot be sent to another process\n  {error}\n"
            "  define it at the top of a module, or use executor='serial'"
        ) from None


@final
class SerialExecutor(Executor):
    """Runs one trial at a time in a thread of this process, for scores that take little time.

    A thread cannot be ended: there is no time limit, and a trial that is running when this is
    closed goes on until it next reports.
    """

    slots = 1

    def __init__(self, score: Score) -> None:
        self.set_score(score)
        self._stopping = False
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._verdicts: SimpleQueue[bool] = SimpleQueue()

    def set_score(self, score: Score) -> None:
        takes_trial(score)
        self._score = score

    def submit(self, job: Job) -> None:
        Thread(target=self._run, args=(job,), daemon=True).start()

    def wait(self, timeout: float | None = None) -> list[Event]:
        try:
            return [self._events.get(timeout=timeout)]
        except Empty:
            return []

    def answer(self, number: int, go_on: bool) -> None:
        self._verdicts.put(go_on)

    def close(self) -> None:
        self._stopping = True
        self._verdicts.put(False)

    def _run(self, job: Job) -> None:
        def ask(report: tuple[int, float]) -> bool:
            if self._stopping:
                return False
            self._events.put(ScoreReport(job.number, *report))
            return self._verdicts.get()

        try:
            self._events.put(run_trial(self._score, job, ask))
        except BaseException as error:  # such as `sys.exit`, which would end this thread in silence
            self._events.put(TrialFailed(job.number, f"{type(error).__name__}: {error}"))
