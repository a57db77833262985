"""Trials one after the other in this process: for tests, tables and scores that cost nothing."""

from queue import Empty, SimpleQueue
from threading import Thread
from typing import final

from dropsmith.search.attempt import Score, attempt, takes_trial
from dropsmith.search.executor import Event, Executor, Failed, Job, Reported


@final
class SerialExecutor(Executor):
    """Runs one trial at a time in a thread of this process.

    A thread cannot be ended: there is no time limit, and a trial that is running when this is
    closed goes on until it next reports.
    """

    slots = 1

    def __init__(self, score: Score) -> None:
        takes_trial(score)
        self._score, self._closed = score, False
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._verdicts: SimpleQueue[bool] = SimpleQueue()

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
        self._closed = True
        self._verdicts.put(False)

    def _run(self, job: Job) -> None:
        def ask(report: tuple[int, float]) -> bool:
            if self._closed:
                return False
            self._events.put(Reported(job.number, *report))
            return self._verdicts.get()

        try:
            self._events.put(attempt(self._score, job, ask))
        except BaseException as error:  # such as `sys.exit`, which would end this thread in silence
            self._events.put(Failed(job.number, f"{type(error).__name__}: {error}"))
