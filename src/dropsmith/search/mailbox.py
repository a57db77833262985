"""How a trial on a Ray cluster and the study speak: reports one way, verdicts the other."""

import asyncio
from time import monotonic
from typing import Any, final

from dropsmith.search.attempt import Score, attempt
from dropsmith.search.executor import Ended, Job

Word = tuple[int, tuple[int, float] | None, float]
"""A trial's number, its report or None where it has but begun, and how many seconds it has run."""


class Mailbox:
    """The only thing that both sides know."""

    def __init__(self) -> None:
        self._words: asyncio.Queue[Word | None] = asyncio.Queue()
        self._verdicts: dict[int, asyncio.Future[bool]] = {}

    async def begin(self, number: int) -> None:
        await self._words.put((number, None, 0.0))

    async def ask(self, number: int, report: tuple[int, float], seconds: float) -> bool:
        verdict = self._verdicts[number] = asyncio.get_running_loop().create_future()
        await self._words.put((number, report, seconds))
        return await verdict

    async def answer(self, number: int, go_on: bool) -> None:
        self._verdicts.pop(number).set_result(go_on)

    async def mark(self) -> None:
        """Put a None after all that was said until now."""
        await self._words.put(None)

    async def take(self) -> list[Word | None]:
        heard = [await self._words.get()]
        while not self._words.empty():
            heard.append(self._words.get_nowait())
        return heard


def run(score: Score, threads: int, job: Job, mail: Any) -> Ended:
    """Score a plan wherever this is."""
    import torch

    torch.set_num_threads(threads)
    mail.begin.remote(job.number)
    return attempt(score, job, _Asking(job.number, mail))


@final
class _Asking:
    """Asks for verdicts. Clocks of two machines differ, so a trial itself counts its seconds."""

    def __init__(self, number: int, mail: Any) -> None:
        self._number, self._mail, self._start = number, mail, monotonic()

    def __call__(self, report: tuple[int, float]) -> bool:
        import ray

        now = monotonic()
        go_on = bool(ray.get(self._mail.ask.remote(self._number, report, now - self._start)))
        self._start += monotonic() - now  # how long it waits is not its fault
        return go_on
