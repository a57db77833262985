"""Trials as tasks of a Ray cluster: one started here, or one of many machines."""

from time import monotonic
from typing import Any, final

from dropsmith.errors import MissingExtra
from dropsmith.search.attempt import Score, takes_trial
from dropsmith.search.cluster import connect
from dropsmith.search.executor import Ended, Event, Executor, Failed, Job, Reported
from dropsmith.search.mailbox import Said, run
from dropsmith.workers import cores

try:
    import ray
    from ray.exceptions import RayError, TaskCancelledError

    from dropsmith.search.post import Post
except ImportError:
    raise MissingExtra("a search on a Ray cluster", "ray", "ray") from None


_ASKED, _HEARD = 5, 2.0
"""How often a task is told to end, and the seconds it is given to have heard."""


@final
class RayExecutor(Executor):
    """Runs each trial as a task of Ray, once: what is to be done about a lost one is the study's.

    Reports go through an actor that Ray restarts if it dies. What it knew is then lost, and so are
    the trials that waited for it.

    Without an address it takes the cluster this process is connected to, or else starts one on
    this machine, which ends with it.

    Args:
        score: what every machine of the cluster can load.
        workers: how many trials run at the same time; as many as the cluster has room for where
            None.
        address: of a running cluster, such as `"auto"` or `"ray://head:10001"`.
        timeout: seconds that a trial may take once it has begun; then its task is ended. What it
            has taken up to a report is what it says itself, however late that is heard here; time
            in which it waited for a verdict is not counted.
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
            connect(address, (workers or cores()) * cpus)
        self.slots = workers or max(1, int(ray.cluster_resources().get("CPU", 1) // cpus))
        self._timeout = timeout
        self._score = ray.put(score)
        self._task = ray.remote(max_retries=0, num_cpus=cpus, num_gpus=gpus)(run)
        self._threads = cpus
        self._post = Post()
        self._running: dict[Any, int] = {}
        self._due: dict[int, float] = {}
        self._left: dict[int, float] = {}
        self._begun: set[int] = set()

    def submit(self, job: Job) -> None:
        task = self._task.remote(self._score, self._threads, job, self._post.mail)
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
        self._post.mail.answer.remote(number, go_on)

    def close(self) -> None:
        end(list(self._running))
        self._running = {}
        self._post.close()
        if self._mine:
            ray.shutdown()

    def _look(self, until: float | None) -> list[Event]:
        left = None if until is None else max(0.0, until - monotonic())
        heard = self._post.heard
        ready, _ = ray.wait([heard, *self._running], timeout=left, fetch_local=True)
        events = self._events(self._post.take()) if heard in ready else []
        events += [self._ended(task) for task in ready if task in self._running]
        return events + self._late()

    def _events(self, said: list[Said]) -> list[Event]:
        known = set(self._running.values())
        words = [word for word in said if isinstance(word, tuple) and word[0] in known]
        events = [event for word in words for event in self._read(*word)]
        return events + self._unheard() if None in said else events

    def _unheard(self) -> list[Event]:
        """End the trials that may have begun without a word of it left: no clock would end them.

        Those that waited for a verdict have ended by themselves.
        """
        if self._timeout is None:
            return []
        tasks = [task for task, n in self._running.items() if n not in self._begun]
        end(tasks)
        why = "word of its beginning may be lost"
        return [Failed(self._forget(task), why, lost=True) for task in tasks]

    def _read(self, number: int, report: tuple[int, float] | None, seconds: float) -> list[Event]:
        """What a trial has said: that it has begun, or a score, for whose answer it then waits."""
        if report is not None:
            self._begun.add(number)
            self._due.pop(number, None)
            if self._timeout is not None:
                self._left[number] = max(0.0, self._timeout - seconds)
            return [Reported(number, *report)]
        if number not in self._begun:  # what is said first need not be heard first
            self._begun.add(number)
            if self._timeout is not None:
                self._due[number] = monotonic() + self._timeout
        return []

    def _ended(self, task: Any) -> Ended:
        number = self._forget(task)
        try:
            return ray.get(task)
        except TaskCancelledError:
            return Failed(number, "its task was cancelled", lost=True)
        except RayError as error:
            return Failed(number, f"its task ended with {type(error).__name__}", lost=True)

    def _late(self) -> list[Event]:
        """End the trials whose time is over, when all is heard that was said until now."""
        now = monotonic()
        if all(due > now for due in self._due.values()):
            return []
        events = self._events(self._post.take_all())
        done, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        events += [self._ended(task) for task in done]
        late = [task for task, n in self._running.items() if self._due.get(n, now + 1) <= now]
        end(late)
        numbers = [self._forget(task) for task in late]
        limit = self._timeout or 0.0
        why = f"it took longer than {limit:g} s"
        return events + [Failed(number, why, seconds=limit) for number in numbers]

    def _forget(self, task: Any) -> int:
        number = self._running.pop(task)
        self._begun.discard(number)
        for times in (self._due, self._left):
            times.pop(number, None)
        return number


def end(tasks: list[Any]) -> None:
    """Cancel tasks until they have ended: one that is just being handed over may not hear it."""
    for _ in range(_ASKED):
        for task in tasks:
            ray.cancel(task, force=True)
        if tasks:
            _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=_HEARD, fetch_local=False)


def _least(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
