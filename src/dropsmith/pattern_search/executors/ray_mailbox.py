"""The mailbox between trials on a Ray cluster and the study: reports one way, verdicts back.

Ray may restart it at any time, with nothing in it.
"""

import asyncio
import sys
from time import monotonic, sleep
from typing import Any, final

import ray
from ray import cloudpickle
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError

from dropsmith.pattern_search.executors.executor import Job, Score, TrialEnd, TrialFailed
from dropsmith.pattern_search.executors.trial_context import ReportLost, run_trial

Report = tuple[int, tuple[int, float] | None, float]
"""A trial's number, its step and value or None where it has but begun, and its seconds so far."""

_RESTART_TIMEOUT = 120.0
"""Seconds that a trial waits for a mailbox that is being restarted."""

Message = Report | int | None
"""A report, or a mark by its number; None stands for messages that are lost."""


class Mailbox:
    """The actor that both sides know: a queue of messages, and the verdicts awaited."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._verdicts: dict[int, asyncio.Future[bool]] = {}

    async def begin(self, number: int) -> None:
        await self._messages.put((number, None, 0.0))

    async def ask(self, number: int, report: tuple[int, float], seconds: float) -> bool:
        verdict = self._verdicts[number] = asyncio.get_running_loop().create_future()
        await self._messages.put((number, report, seconds))
        return await verdict

    async def answer(self, number: int, go_on: bool) -> None:
        # After a restart it knows of nobody who has asked, and they know that it is gone.
        if (verdict := self._verdicts.pop(number, None)) is not None:
            verdict.set_result(go_on)

    async def mark(self, number: int) -> None:
        """Put a mark after all messages until now."""
        await self._messages.put(number)

    async def take(self) -> list[Message]:
        messages = [await self._messages.get()]
        while not self._messages.empty():
            messages.append(self._messages.get_nowait())
        return messages


def run_remote_trial(score: Score, threads: int, job: Job, mailbox: Any) -> TrialEnd:
    """Score a plan wherever this is."""
    import torch

    torch.set_num_threads(threads)
    try:
        _begin(job.number, mailbox)
    except RayError as error:
        return TrialFailed(
            job.number, f"its begin was not delivered: {type(error).__name__}", retriable=True
        )
    return run_trial(score, job, _VerdictRequest(job.number, mailbox))


def _begin(number: int, mailbox: Any) -> None:
    """Send that a trial begins; it may be sent twice."""
    until = monotonic() + _RESTART_TIMEOUT
    while True:
        try:
            return ray.get(mailbox.begin.remote(number))
        except ActorUnavailableError:
            if monotonic() > until:
                raise
            sleep(0.1)


@final
class _VerdictRequest:
    """Requests verdicts. Clocks of two machines differ, so a trial itself counts its seconds."""

    def __init__(self, number: int, mailbox: Any) -> None:
        self._number, self._mailbox, self._start = number, mailbox, monotonic()

    def __call__(self, report: tuple[int, float]) -> bool:
        ask_time = monotonic()
        try:
            go_on = bool(
                ray.get(self._mailbox.ask.remote(self._number, report, ask_time - self._start))
            )
        except RayError as error:
            why = f"its report was lost with {type(error).__name__}"
            raise ReportLost(why) from error
        self._start += monotonic() - ask_time  # how long it waits is not its fault
        return go_on


_MARK_INTERVAL = 2.0
"""Seconds after which a mark is sent once more: the mailbox may have lost the last one."""

_MARK_TIMEOUT = 120.0
"""Seconds after which no mark is sent any more."""


@final
class ReportReceiver:
    """The study's end: it receives the trials' messages, whatever becomes of the mailbox.

    Attributes:
        mailbox: the actor, for those that write.
        pending: a reference that is ready when a message came, or the mailbox is gone.
    """

    def __init__(self) -> None:
        self._marks = 0
        self.mailbox = _mailbox()
        self.pending: Any = self.mailbox.take.remote()

    def take(self) -> list[Message]:
        """The messages since the last call; None among them where some are lost."""
        try:
            return ray.get(self.pending)
        except ActorDiedError:
            self.mailbox = _mailbox()
            return [None]
        except RayError:
            return [None]
        finally:
            self.pending = self.mailbox.take.remote()

    def take_all(self) -> list[Message]:
        """All messages until now, of which a first take need not hold all."""
        until, mark = monotonic() + _MARK_TIMEOUT, self._mark()
        messages: list[Message] = []
        while mark not in messages and monotonic() < until:
            ready, _ = ray.wait([self.pending], timeout=_MARK_INTERVAL, fetch_local=True)
            new = self.take() if ready else []
            messages += new
            if not ready or None in new:  # the mark may be lost, too
                mark = self._mark()
        return messages

    def close(self) -> None:
        """End the mailbox."""
        ray.kill(self.mailbox)

    def _mark(self) -> int:
        self._marks += 1
        self.mailbox.mark.remote(self._marks)
        return self._marks


def _mailbox() -> Any:
    """A new mailbox. Its class is sent as it is, so that its process need not import torch."""
    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)
    try:
        return ray.remote(num_cpus=0, max_restarts=-1)(Mailbox).remote()
    finally:
        cloudpickle.unregister_pickle_by_value(here)
