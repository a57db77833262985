"""Trials as tasks of a Ray cluster: one started here, or one of many machines."""

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, final

from dropsmith.errors import MissingExtra, SearchError
from dropsmith.search.attempt import Score, attempt, takes_trial
from dropsmith.search.executor import Ended, Event, Executor, Failed, Job, Reported
from dropsmith.workers import cores

try:
    import ray
    from ray.exceptions import RayError, TaskCancelledError
except ImportError:
    raise MissingExtra("a search on a Ray cluster", "ray", "ray") from None


@final
class RayExecutor(Executor):
    """Runs each trial as a task of Ray, once: what is to be done about a lost one is the study's.

    Without an address it takes the cluster this process is connected to, or else starts one on
    this machine, which ends with it.

    Args:
        score: what every machine of the cluster can load.
        workers: how many trials run at the same time; as many as the cluster has room for where
            None.
        address: of a running cluster, such as `"auto"` or `"ray://head:10001"`.
        timeout: seconds that a trial may take once it has begun; then its task is ended.
        cpus, gpus: what each trial is given; torch uses as many threads as processors.

    Raises:
        SearchError: there is no cluster at the address.
    """

    def __init__(
        self,
        score: Score,
        workers: int | None = None,
        address: str | None = None,
        *,
        timeout: float | None = None,
        cpus: int = 1,
        gpus: float = 0.0,
    ) -> None:
        takes_trial(score)
        self._mine = not ray.is_initialized()
        if self._mine:
            _connect(address, (workers or cores()) * cpus)
        self.slots = workers or max(1, int(ray.cluster_resources().get("CPU", 1) // cpus))
        self._timeout = timeout
        self._score = ray.put(score)
        self._task = ray.remote(max_retries=0, num_cpus=cpus, num_gpus=gpus)(_run)
        self._threads = cpus
        self._mail: Any = ray.remote(num_cpus=0, max_restarts=-1)(_Mailbox).remote()
        self._heard: Any = self._mail.take.remote()
        self._running: dict[Any, int] = {}
        self._due: dict[int, float] = {}
        self._left: dict[int, float] = {}
        self._begun: set[int] = set()

    def submit(self, job: Job) -> None:
        task = self._task.remote(self._score, self._threads, job, self._mail)
        self._running[task] = job.number

    def wait(self, timeout: float | None = None) -> list[Event]:
        until = None if timeout is None else monotonic() + timeout
        while self._running:
            events = self._look(_least(until, *self._due.values()))
            if events or (until is not None and monotonic() >= until):
                return events
        return []

    def answer(self, number: int, go_on: bool) -> None:
        if number in self._left:
            self._due[number] = monotonic() + self._left.pop(number)
        self._mail.answer.remote(number, go_on)

    def close(self) -> None:
        for task in self._running:
            ray.cancel(task, force=True)
        self._running = {}
        ray.kill(self._mail)
        if self._mine:
            ray.shutdown()

    def _look(self, until: float | None) -> list[Event]:
        left = None if until is None else max(0.0, until - monotonic())
        ready, _ = ray.wait([self._heard, *self._running], timeout=left, fetch_local=True)
        events = self._reports() if self._heard in ready else []
        return (
            events + [self._ended(task) for task in ready if task in self._running] + self._late()
        )

    def _reports(self) -> list[Event]:
        try:
            heard = ray.get(self._heard)
        except RayError:  # it was restarted; the trials that waited for it have failed by now
            heard = []
        self._heard = self._mail.take.remote()
        known = set(self._running.values())
        return [event for n, report in heard if n in known for event in self._read(n, report)]

    def _read(self, number: int, report: tuple[int, float] | None) -> list[Event]:
        """What a trial has said: that it has begun, or a score, for whose answer it then waits."""
        if number not in self._begun:  # what is said first need not be heard first
            self._begun.add(number)
            if self._timeout is not None:
                self._due[number] = monotonic() + self._timeout
        if report is None:
            return []
        if number in self._due:  # how long it waits is not its fault
            self._left[number] = max(0.0, self._due.pop(number) - monotonic())
        return [Reported(number, *report)]

    def _ended(self, task: Any) -> Ended:
        number = self._forget(task)
        try:
            return ray.get(task)
        except TaskCancelledError:
            return Failed(number, "its task was cancelled", lost=True)
        except RayError as error:
            return Failed(number, f"its task ended with {type(error).__name__}", lost=True)

    def _late(self) -> list[Event]:
        now = monotonic()
        late = [task for task, n in self._running.items() if self._due.get(n, now + 1) <= now]
        for task in late:
            ray.cancel(task, force=True)
        numbers = [self._forget(task) for task in late]
        limit = self._timeout or 0.0
        return [Failed(n, f"it took longer than {limit:g} s", seconds=limit) for n in numbers]

    def _forget(self, task: Any) -> int:
        number = self._running.pop(task)
        self._begun.discard(number)
        for times in (self._due, self._left):
            times.pop(number, None)
        return number


class _Mailbox:
    """Carries reports to the study and verdicts back; the only thing that both sides know."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[tuple[int, tuple[int, float] | None]] = asyncio.Queue()
        self._verdicts: dict[int, asyncio.Future[bool]] = {}

    async def begin(self, number: int) -> None:
        await self._reports.put((number, None))

    async def ask(self, number: int, report: tuple[int, float]) -> bool:
        verdict = self._verdicts[number] = asyncio.get_running_loop().create_future()
        await self._reports.put((number, report))
        return await verdict

    async def answer(self, number: int, go_on: bool) -> None:
        self._verdicts.pop(number).set_result(go_on)

    async def take(self) -> list[tuple[int, tuple[int, float] | None]]:
        heard = [await self._reports.get()]
        while not self._reports.empty():
            heard.append(self._reports.get_nowait())
        return heard


def _run(score: Score, threads: int, job: Job, mail: Any) -> Ended:
    import torch

    torch.set_num_threads(threads)
    mail.begin.remote(job.number)
    return attempt(score, job, lambda report: ray.get(mail.ask.remote(job.number, report)))


def _connect(address: str | None, cpus: int) -> None:
    if address is not None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ValueError, ConnectionError, RuntimeError) as error:
            raise SearchError(f"no Ray cluster at {address!r}\n  {error}") from None
        return
    with _without_token():
        ray.init(
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )


@contextmanager
def _without_token() -> Iterator[None]:
    # A cluster that lives and dies with this process needs no token file in the user's home.
    before = os.environ.get("RAY_AUTH_MODE")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        yield
    finally:
        if before is None:
            del os.environ["RAY_AUTH_MODE"]


def _least(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
