"""Training of one run, from its setup to its record, with exact resumption."""

from dropsmith.train._setup import Setup, check_kinds
from dropsmith.train.checkpoint import Checkpoint, Saving
from dropsmith.train.code_hash import code_hash
from dropsmith.train.environment import HASHES, describe_environment, precision_note
from dropsmith.train.evaluation import evaluate
from dropsmith.train.loop import steps_of, task_and_data, train
from dropsmith.train.progress import EvaluationListener, Progress, TermsListener, bar
from dropsmith.train.run_config import RunConfig, check_run, plan_of
from dropsmith.train.start import Start
from dropsmith.train.tracking import check_trackers
from dropsmith.train.training_part import training_part

LIBRARIES = ("accelerate", "torchmetrics.classification", "torch._dynamo")
"""The libraries that a run imports at its start."""

__all__ = [
    "HASHES",
    "LIBRARIES",
    "Checkpoint",
    "EvaluationListener",
    "Progress",
    "RunConfig",
    "Saving",
    "Setup",
    "Start",
    "TermsListener",
    "bar",
    "check_kinds",
    "check_run",
    "check_trackers",
    "code_hash",
    "describe_environment",
    "evaluate",
    "plan_of",
    "precision_note",
    "steps_of",
    "task_and_data",
    "train",
    "training_part",
]
