"""A search that is run as a program of its own, so that it can be killed."""

import sys
import time
from pathlib import Path

from dropsmith.pattern_search import search
from pattern_search.small import SPACE, by_rates

TRIALS = 4


def slow(plan, trial):
    """The third trial takes for ever, the others as long as a number."""
    trial.report(1, by_rates(plan) / 2)
    if trial.number == 2:
        time.sleep(600)
    return by_rates(plan)


def told(progress):
    """A line for each trial that begins or ends."""
    ended = progress.last_trial
    print(progress.done, progress.running, ended.worker if ended else "", flush=True)


if __name__ == "__main__":
    search(
        slow,
        SPACE,
        trials=TRIALS,
        workers=1,
        sampler="controller",
        storage=Path(sys.argv[1]),
        progress=told,
    )
