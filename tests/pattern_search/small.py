"""A small space and scores over it that other processes can import by name."""

import os
import resource
import signal
import time
from functools import partial

from dropsmith.pattern_search import Choice, ListedSpace, part
from dropsmith.patterns import Bernoulli
from dropsmith.plans.rule import rule

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
NAMES = ("first", "second", "third")
SPACE = ListedSpace(
    tuple(Choice(f"{name}.rate", RATES) for name in NAMES),
    tuple(part(rule(n, Bernoulli(rate=0.1)), sets={"rate": f"{n}.rate"}) for n in NAMES),
)


def by_rates(plan):
    """Highest at rates of 0.1, 0.3 and 0.5."""
    rates = [one.pattern.rate for one in plan.rules]
    return -sum((rate - best) ** 2 for rate, best in zip(rates, (0.1, 0.3, 0.5), strict=True))


def killed_once(folder):
    """`by_rates` whose process is killed the first time that anything is scored."""
    return partial(_killed_once, folder)


def _killed_once(folder, plan, trial):
    try:
        (folder / "killed").touch(exist_ok=False)
    except FileExistsError:
        return by_rates(plan)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def reporting(plan, trial):
    """`by_rates`, half of it said before."""
    found = by_rates(plan)
    trial.report(1, found / 2)
    trial.report(2, found)
    return found


def endless(plan):
    """Says nothing and does not end."""
    time.sleep(600)


def loaded(plan):
    """The sum of some numbers that other processes read."""
    from torch.utils.data import DataLoader

    return float(sum(batch.sum() for batch in DataLoader(range(8), num_workers=2)))


def greedy(plan):
    """Asks for more memory than its process may have."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    return float(len(bytearray(64 << 30)))
