"""Executors: trials in a thread or in processes of this machine; `ray_executor` for a cluster."""

from dropsmith.pattern_search.executors.executor import (
    Ended,
    Event,
    Executor,
    Failed,
    Finished,
    Job,
    Reported,
    Stopped,
)
from dropsmith.pattern_search.executors.local import LocalExecutor, SerialExecutor
from dropsmith.pattern_search.executors.trial_context import Pruned, Score, TrialContext

__all__ = [
    "Ended",
    "Event",
    "Executor",
    "Failed",
    "Finished",
    "Job",
    "LocalExecutor",
    "Pruned",
    "Reported",
    "Score",
    "SerialExecutor",
    "Stopped",
    "TrialContext",
]
