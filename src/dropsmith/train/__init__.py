"""Training: one run from its setup to its record, exactly resumable."""

from dropsmith.train._setup import Setup
from dropsmith.train.bar import Evaluated, Progress, bar
from dropsmith.train.checkpoint import WEIGHTS, Checkpoint, Saving
from dropsmith.train.evaluate import evaluate
from dropsmith.train.loop import steps_of, task_and_data, train
from dropsmith.train.start import Start

__all__ = [
    "WEIGHTS",
    "Checkpoint",
    "Evaluated",
    "Progress",
    "Saving",
    "Setup",
    "Start",
    "bar",
    "evaluate",
    "steps_of",
    "task_and_data",
    "train",
]
