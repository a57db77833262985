"""How a trial on a Ray cluster and the study speak: reports one way, verdicts the other."""

import asyncio
from time import monotonic, sleep
from typing import Any, final

from dropsmith.search.attempt import Score, Unheard, attempt
from dropsmith.search.executor import Ended, Failed, Job

Word = tuple[int, tuple[int, float] | None, float]
"""A trial's number, its report or None where it has but begun, and how many seconds it has run."""

_PATIENCE = 120.0
"""Seconds that a trial waits for a mailbox that is being restarted."""

Said = Word | int | None
"""Also a mark, by its number; None stands for what was lost."""


class Mailbox:
    """The only thing that both sides know."""

    def __init__(self) -> None:
        self._words: asyncio.Queue[Said] = asyncio.Queue()
        self._verdicts: dict[int, asyncio.Future[bool]] = {}

    async def begin(self, number: int) -> None:
        await self._words.put((number, None, 0.0))

    async def ask(self, number: int, report: tuple[int, float], seconds: float) -> bool:
        verdict = self._verdicts[number] = asyncio.get_running_loop().create_future()
        await self._words.put((number, report, seconds))
        return await verdict

    async def answer(self, number: int, go_on: bool) -> None:
        # After a restart it knows of nobody who has asked, and they have heard that it is gone.
        if (verdict := self._verdicts.pop(number, None)) is not None:
            verdict.set_result(go_on)

    async def mark(self, number: int) -> None:
        """Put a mark after all that was said until now."""
        await self._words.put(number)

    async def take(self) -> list[Said]:
        heard = [await self._words.get()]
        while not self._words.empty():
            heard.append(self._words.get_nowait())
        return heard


def run(score: Score, threads: int, job: Job, mail: Any) -> Ended:
    """Score a plan wherever this is."""
    import torch
    from ray.exceptions import RayError

    torch.set_num_threads(threads)
    try:
        _begin(job.number, mail)
    except RayError as error:
        return Failed(job.number, f"it was not heard: {type(error).__name__}", lost=True)
    return attempt(score, job, _Asking(job.number, mail))


def _begin(number: int, mail: Any) -> None:
    """Say that a trial begins, which may be said twice."""
    import ray
    from ray.exceptions import ActorUnavailableError

    until = monotonic() + _PATIENCE
    while True:
        try:
            return ray.get(mail.begin.remote(number))
        except ActorUnavailableError:
            if monotonic() > until:
                raise
            sleep(0.1)


@final
class _Asking:
    """Asks for verdicts. Clocks of two machines differ, so a trial itself counts its seconds."""

    def __init__(self, number: int, mail: Any) -> None:
        self._number, self._mail, self._start = number, mail, monotonic()

    def __call__(self, report: tuple[int, float]) -> bool:
        import ray
        from ray.exceptions import RayError

        now = monotonic()
        try:
            go_on = bool(ray.get(self._mail.ask.remote(self._number, report, now - self._start)))
        except RayError as error:
            why = f"what it reported was lost with {type(error).__name__}"
            raise Unheard(why) from error
        self._start += monotonic() - now  # how long it waits is not its fault
        return go_on
