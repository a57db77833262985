"""The price of taking turns: predictions with one model from one thread and from eight.

Threads take turns in `predict`, so eight of them are no faster than one. The figure is what they
lose to waiting; the lock itself is timed against a prediction by one thread that holds it already.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from benchmarks.small_step import data, net

import dropsmith as ds
from dropsmith.noise import turn

THREADS, CALLS, SAMPLES = 8, 32, 20


def predictions(device: torch.device) -> dict[str, Call]:
    """As many predictions from one thread, from one that has the turn, and from a pool."""
    model, (x, _) = net().to(device), data(device)
    pool = ThreadPoolExecutor(THREADS)

    def predict(_: int) -> ds.Prediction:
        return ds.predict(model, x, SAMPLES)

    def one_thread() -> None:
        for call in range(CALLS):
            predict(call)

    def one_turn() -> None:
        with turn:
            one_thread()

    def eight_threads() -> None:
        list(pool.map(predict, range(CALLS)))

    ways: dict[str, Callable[[], None]] = {
        "one thread": one_thread,
        "one thread that has the turn": one_turn,
        "eight threads": eight_threads,
    }
    return dict(ways)


CASE = Case(
    name="threads",
    tests=("tests/test_threads.py",),
    comparisons=(Comparison(name=f"{CALLS} predictions of {SAMPLES} samples", ways=predictions),),
    rounds=21,
)

if __name__ == "__main__":
    main(CASE)
