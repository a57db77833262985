"""The coordinator of a search alone, fed by a thousand simulated workers.

How many trials a second it can keep going, how long it takes to ask and to tell, how much memory
it needs, and how long a resumed one takes to know again all that was told.

`python -m benchmarks.search_coordinator [--trials 10000] [--smoke]`, from the root of the
repository.
"""

import argparse
import json
import random
import resource
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import torch
from benchmarks._harness import ROOT
from benchmarks._results import environment_of

from dropsmith.models import WideResNet
from dropsmith.pattern_search import (
    SAMPLERS,
    Event,
    Executor,
    Job,
    Proposal,
    Sampler,
    Score,
    Tokens,
    TrialFinished,
    TrialResult,
    search,
    spaces,
)

WORKERS = 1000


class Simulated(Executor):
    """Any of many workers is done at any time, with a score that is a function of its seed."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.draws = random.Random(0)
        self.running: list[Job] = []
        self.heard: list[float] = []
        self.begun: list[float] = []

    def set_score(self, score: Score) -> None:
        """Scores here are functions of the seed."""

    def submit(self, job: Job) -> None:
        self.begun.append(perf_counter())
        self.running.append(job)

    def wait(self, timeout: float | None = None) -> list[Event]:
        index = self.draws.randrange(len(self.running))
        self.running[index], self.running[-1] = self.running[-1], self.running[index]
        job = self.running.pop()
        score = random.Random(job.seed).random() - 0.01 * len(job.plan.rules)
        self.heard.append(perf_counter())
        return [TrialFinished(job.number, score, 60.0, "simulated")]

    def answer(self, number: int, go_on: bool) -> None:
        raise RuntimeError("nothing here reports")

    def close(self) -> None:
        self.running = []


class Timed(Sampler):
    """Another sampler, with the times at which it was asked and had been told."""

    name = "timed"

    def __init__(self, sampler: Sampler) -> None:
        self.own, self.space, self.seed = sampler, sampler.space, sampler.seed
        self.asked: list[float] = []
        self.told: list[float] = []

    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        self.asked.append(perf_counter())
        return self.own.ask(number, running)

    def tell(self, result: TrialResult) -> None:
        self.own.tell(result)
        self.told.append(perf_counter())

    def state(self) -> dict[str, Any]:
        return self.own.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.own.restore(state)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds of one step: the middle, and what 95 % and 99 % of them stay below."""

    median: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Latency":
        """Of at least two steps."""
        cuts = quantiles(seconds, n=100, method="inclusive")
        return cls(median=cuts[49], p95=cuts[94], p99=cuts[98])


def coordinated(sampler: str, kind: str, trials: int) -> dict[str, Any]:
    """One study from its first trial to its last, and then once more from what is stored."""
    space = spaces.conv(WideResNet(depth=16, width=1, classes=10), torch.zeros(2, 3, 32, 32))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "study"
        where = f"journal:{path}" if kind == "journal" else str(path)
        timed, workers = Timed(SAMPLERS[sampler](space)), Simulated(WORKERS)
        wall, cpu = perf_counter(), process_time()
        search(_never, space, trials=trials, sampler=timed, executor=workers, storage=where)
        wall, cpu = perf_counter() - wall, process_time() - cpu
        most, size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, path.stat().st_size
        again = perf_counter()
        fresh = Timed(SAMPLERS[sampler](space))
        search(_never, space, trials=trials, sampler=fresh, executor=workers, storage=where)
        again = perf_counter() - again
    return {
        "sampler": sampler,
        "storage": kind,
        "choices": len(space.choices),
        "workers": WORKERS,
        "trials": trials,
        "seconds": wall,
        "cpu_seconds": cpu,
        "trials_per_second": trials / wall,
        "trials_per_cpu_second": trials / cpu,
        "ask": asdict(Latency.of(_between(timed.asked, workers.begun))),
        "tell": asdict(Latency.of(_between(workers.heard, timed.told))),
        "last_ask": asdict(Latency.of(_between(timed.asked, workers.begun)[-trials // 10 :])),
        "peak_bytes": most,
        "stored_bytes": size,
        "resume_seconds": again,
    }


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure each sampler in a process of its own, as memory is never given back."""
    asked = _parser().parse_args(None if arguments is None else list(arguments))
    trials = 20 if asked.smoke else asked.trials
    found = []
    for sampler in asked.samplers.split(","):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(coordinated, sampler, asked.storage, trials).result())
        _show(found[-1])
    if asked.smoke:
        print("a smoke run: too few trials to mean anything, nothing written")
        return
    print(f"written: {_write(asked.out, found)}")


def _never(plan: object) -> float:
    raise RuntimeError("the workers are simulated")


def _between(begin: list[float], end: list[float]) -> list[float]:
    return [last - first for first, last in zip(begin, end, strict=True)]


def _show(one: dict[str, Any]) -> None:
    print(f"{one['sampler']}, {one['storage']}: {one['trials']} trials of {one['choices']} choices")
    print(
        f"  {one['trials_per_second']:.1f} trials a second "
        f"({one['trials_per_cpu_second']:.1f} a second of processor time)"
    )
    for name in ("ask", "tell"):
        ms = {key: f"{1e3 * value:.1f} ms" for key, value in one[name].items()}
        print(f"  {name}: median {ms['median']}, p95 {ms['p95']}, p99 {ms['p99']}")
    print(
        f"  peak memory {one['peak_bytes'] / 1e6:.0f} MB, stored {one['stored_bytes'] / 1e6:.0f} MB"
    )
    print(f"  resumed in {one['resume_seconds']:.1f} s")


def _write(folder: Path, found: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    stem = f"search_coordinator_cpu_{now.date().isoformat()}"
    path, number = folder / f"{stem}.json", 2
    while path.exists():
        path, number = folder / f"{stem}_{number}.json", number + 1
    values = {
        "format": "dropsmith.search-coordinator",
        "version": 1,
        "time": now.isoformat(timespec="seconds"),
        "environment": environment_of(torch.device("cpu")),
        "runs": found,
    }
    path.write_text(json.dumps(values, indent=1) + "\n")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_coordinator")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--samplers", default="controller,random", help="names, by commas")
    parser.add_argument("--storage", default="journal", choices=("journal", "sqlite"))
    parser.add_argument("--smoke", action="store_true", help="few trials, nothing written")
    out = ROOT / "results" / "benchmarks"
    parser.add_argument("--out", type=Path, default=out, help="folder for the result")
    return parser


if __name__ == "__main__":
    main()
