"""The executor whose trials are tasks of a Ray cluster: one started here, or a running one."""

from time import monotonic
from typing import Any, final

from dropsmith.errors import MissingExtra
from dropsmith.pattern_search.executors.executor import (
    MOST_REMOTE,
    Event,
    Executor,
    Job,
    Score,
    ScoreReport,
    TrialEnd,
    TrialFailed,
    check_limits,
)
from dropsmith.pattern_search.executors.ray_cluster import connect
from dropsmith.pattern_search.executors.trial_context import takes_trial
from dropsmith.workers import cores

try:
    import ray
    from ray.exceptions import RayError, TaskCancelledError

    from dropsmith.pattern_search.executors.ray_mailbox import (
        Message,
        ReportReceiver,
        run_remote_trial,
    )
except ImportError:
    raise MissingExtra("a search on a Ray cluster", "ray", "ray") from None


_CANCELS, _CANCEL_WAIT = 5, 2.0
"""The number of times a task is cancelled, and the seconds it has to end after each."""


@final
class RayExecutor(Executor):
    """Runs each trial as a task of Ray, once: the study decides about a lost one.

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
            has taken up to a report is what it says itself, however late that arrives here; time
            in which it waited for a verdict is not counted.
        cpus, gpus: what each trial is given; torch uses as many threads as processors.

    Raises:
        SearchError: there is no cluster at the address, or there can be no such number of workers
            or seconds.
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
        check_limits(workers, timeout, MOST_REMOTE)
        self._owns_cluster = not ray.is_initialized()
        if self._owns_cluster:
            connect(address, (workers or cores()) * cpus)
        self.slots = workers or max(1, int(ray.cluster_resources().get("CPU", 1) // cpus))
        self._timeout = timeout
        self.set_score(score)
        self._task = ray.remote(max_retries=0, num_cpus=cpus, num_gpus=gpus)(run_remote_trial)
        self._threads = cpus
        self._receiver = ReportReceiver()
        self._running: dict[Any, int] = {}
        self._due: dict[int, float] = {}
        self._time_left: dict[int, float] = {}
        self._started_numbers: set[int] = set()

    def set_score(self, score: Score) -> None:
        takes_trial(score)
        self._score = ray.put(score)

    def submit(self, job: Job) -> None:
        task = self._task.remote(self._score, self._threads, job, self._receiver.mailbox)
        self._running[task] = job.number

    def wait(self, timeout: float | None = None) -> list[Event]:
        until = None if timeout is None else monotonic() + timeout
        while self._running:
            events = self._look(_earliest(until, *self._due.values()))
            if events or (until is not None and monotonic() >= until):
                return events
        return []

    def answer(self, number: int, go_on: bool) -> None:
        if number in self._time_left:
            self._due[number] = monotonic() + self._time_left.pop(number)
        self._receiver.mailbox.answer.remote(number, go_on)

    def close(self) -> None:
        end(list(self._running))
        self._running = {}
        self._receiver.close()
        if self._owns_cluster:
            ray.shutdown()

    def _look(self, until: float | None) -> list[Event]:
        remaining = None if until is None else max(0.0, until - monotonic())
        pending = self._receiver.pending
        ready, _ = ray.wait([pending, *self._running], timeout=remaining, fetch_local=True)
        events = self._events(self._receiver.take()) if pending in ready else []
        events += [self._end_event(task) for task in ready if task in self._running]
        return events + self._late()

    def _events(self, messages: list[Message]) -> list[Event]:
        running = set(self._running.values())
        reports = [m for m in messages if isinstance(m, tuple) and m[0] in running]
        events = [event for report in reports for event in self._read(*report)]
        return events + self._end_unconfirmed() if None in messages else events

    def _end_unconfirmed(self) -> list[Event]:
        """End the trials whose begin may be lost: no clock would end them.

        Those that waited for a verdict have ended by themselves.
        """
        if self._timeout is None:
            return []
        tasks = [task for task, n in self._running.items() if n not in self._started_numbers]
        end(tasks)
        why = "the message of its beginning may be lost"
        return [TrialFailed(self._forget(task), why, retriable=True) for task in tasks]

    def _read(self, number: int, report: tuple[int, float] | None, seconds: float) -> list[Event]:
        """The events of a trial's message: none for its begin, a report for a score."""
        if report is not None:
            self._started_numbers.add(number)
            self._due.pop(number, None)
            if self._timeout is not None:
                self._time_left[number] = max(0.0, self._timeout - seconds)
            return [ScoreReport(number, *report)]
        if number not in self._started_numbers:  # messages may arrive in another order
            self._started_numbers.add(number)
            if self._timeout is not None:
                self._due[number] = monotonic() + self._timeout
        return []

    def _end_event(self, task: Any) -> TrialEnd:
        number = self._forget(task)
        try:
            return ray.get(task)
        except TaskCancelledError:
            return TrialFailed(number, "its task was cancelled", retriable=True)
        except RayError as error:
            return TrialFailed(
                number, f"its task ended with {type(error).__name__}", retriable=True
            )

    def _late(self) -> list[Event]:
        """End the trials whose time is over, once all messages until now are read."""
        now = monotonic()
        if all(due > now for due in self._due.values()):
            return []
        events = self._events(self._receiver.take_all())
        ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        events += [self._end_event(task) for task in ready]
        late = [task for task, n in self._running.items() if self._due.get(n, now + 1) <= now]
        end(late)
        numbers = [self._forget(task) for task in late]
        limit = self._timeout or 0.0
        why = f"it took longer than {limit:g} s"
        return events + [TrialFailed(number, why, seconds=limit) for number in numbers]

    def _forget(self, task: Any) -> int:
        number = self._running.pop(task)
        self._started_numbers.discard(number)
        for times in (self._due, self._time_left):
            times.pop(number, None)
        return number


def end(tasks: list[Any]) -> None:
    """Cancel tasks until they have ended: one that is just being started may miss a cancel."""
    for _ in range(_CANCELS):
        for task in tasks:
            ray.cancel(task, force=True)
        if tasks:
            _, tasks = ray.wait(
                tasks, num_returns=len(tasks), timeout=_CANCEL_WAIT, fetch_local=False
            )


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
