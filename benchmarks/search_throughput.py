"""Trials through the executors: two local workers against one, and what a trial costs by itself."""

from functools import cache

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import Tensor

from dropsmith.models import SmallConv
from dropsmith.pattern_search import Executor, Job, LocalExecutor, SerialExecutor, TrialFinished
from dropsmith.patterns import DropBlock
from dropsmith.plans import Plan, rule

TRIALS, EMPTY = 8, 100
PLAN = Plan(rule("convs.*", DropBlock(rate=0.1, size=2)))


def trained(plan: Plan) -> float:
    """Accuracy on the last 297 digits after 2 epochs over the first 1 500, on one thread."""
    images, labels = _digits()
    torch.manual_seed(0)
    model = SmallConv(channels=1, size=8, classes=10)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    with plan.installed(model):
        for _ in range(2 * 15):
            rows = torch.randint(1500, (100,))
            loss = F.cross_entropy(model(images[rows]), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        found = model.eval()(images[1500:]).argmax(-1)
    return (found == labels[1500:]).double().mean().item()


def empty(plan: Plan) -> float:
    """A trial that costs nothing."""
    return 0.0


def through(executor: Executor, trials: int) -> Call:
    """Run trials of one plan, as many at the same time as there are slots."""

    def call() -> None:
        begun = ended = 0
        while ended < trials:
            while begun < trials and begun - ended < executor.slots:
                executor.submit(Job(begun, PLAN, seed=begun))
                begun += 1
            for event in executor.wait():
                if not isinstance(event, TrialFinished):
                    raise RuntimeError(f"not what was to be timed: {event!r}")
                ended += 1

    return call


def workers(device: torch.device) -> dict[str, Call]:
    """The same trials through one process and through two, a thread each."""
    return {
        f"{count} worker{'s' if count > 1 else ''}": through(
            LocalExecutor(trained, count, threads=1), TRIALS
        )
        for count in (1, 2)
    }


def overhead(device: torch.device) -> dict[str, Call]:
    """Empty trials, one at a time, through each executor; divide by their number."""
    from dropsmith.pattern_search.executors.ray_executor import RayExecutor

    return {
        "this process": through(SerialExecutor(empty), EMPTY),
        "local process": through(LocalExecutor(empty, 1, threads=1), EMPTY),
        "Ray": through(RayExecutor(empty, 1), EMPTY),
    }


@cache
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    return images, torch.tensor(found.target)


CASE = Case(
    name="search_throughput",
    tests=("tests/search/test_executors.py",),
    comparisons=(
        Comparison(
            name=f"{TRIALS} trials that train on digits",
            ways=workers,
            targets={"2 workers": 1 / 1.8},
        ),
        Comparison(name=f"{EMPTY} trials that cost nothing", ways=overhead),
    ),
    rounds=5,
    elsewhere=True,
)

if __name__ == "__main__":
    main(CASE)
