"""The coordinator of a search alone: simulated workers that are done as soon as they are asked."""

import random
from time import perf_counter
from typing import Any

from dropsmith.search import (
    Event,
    Executor,
    Finished,
    Job,
    Proposal,
    Sampler,
    Told,
)


class Simulated(Executor):
    """Any of many workers is done at any time, with a score that is a function of its seed."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running: list[Job] = []
        self.draws = random.Random(0)
        self.heard: float | None = None
        self.began: list[float] = []

    def submit(self, job: Job) -> None:
        self.began.append(perf_counter())
        self.running.append(job)

    def wait(self, timeout: float | None = None) -> list[Event]:
        index = self.draws.randrange(len(self.running))
        self.running[index], self.running[-1] = self.running[-1], self.running[index]
        job = self.running.pop()
        score = random.Random(job.seed).random() - 0.01 * len(job.plan.rules)
        self.heard = perf_counter()
        return [Finished(job.number, score, 60.0, "simulated")]

    def answer(self, number: int, go_on: bool) -> None:
        raise RuntimeError("nothing here reports")

    def close(self) -> None:
        self.running = []


class Timed(Sampler):
    """Another sampler, and the times at which it was asked and had been told."""

    name = "timed"

    def __init__(self, sampler: Sampler) -> None:
        self.own, self.space, self.seed = sampler, sampler.space, sampler.seed
        self.asked: list[tuple[float, float]] = []
        self.told: list[tuple[float, float]] = []

    def ask(self, number: int) -> Proposal:
        start = perf_counter()
        made = self.own.ask(number)
        self.asked.append((start, perf_counter()))
        return made

    def tell(self, told: Told) -> None:
        start = perf_counter()
        self.own.tell(told)
        self.told.append((start, perf_counter()))

    def state(self) -> dict[str, Any]:
        return self.own.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.own.restore(state)
