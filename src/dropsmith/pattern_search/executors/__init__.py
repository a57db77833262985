"""Executors: trials in a thread or in processes of this machine; `ray_executor` for a cluster."""

from dropsmith.pattern_search.executors.executor import (
    Event,
    Executor,
    Job,
    Score,
    ScoreReport,
    TrialEnd,
    TrialFailed,
    TrialFinished,
    TrialStopped,
)
from dropsmith.pattern_search.executors.local import LocalExecutor, SerialExecutor
from dropsmith.pattern_search.executors.trial_context import TrialContext, TrialPruned

__all__ = [
    "Event",
    "Executor",
    "Job",
    "LocalExecutor",
    "Score",
    "ScoreReport",
    "SerialExecutor",
    "TrialContext",
    "TrialEnd",
    "TrialFailed",
    "TrialFinished",
    "TrialPruned",
    "TrialStopped",
]
