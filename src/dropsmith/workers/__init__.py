"""Worker processes for comparisons and searches; a job that fails does not end the others."""

from dropsmith.workers.crew import MOST, Crew, Tell, check_count, cores, spread
from dropsmith.workers.events import (
    TRIES,
    Died,
    Done,
    Event,
    JobProgress,
    JobQuestion,
    Overdue,
    exit_reason,
    is_from_outside,
)
from dropsmith.workers.worker_process import Line, Work

__all__ = [
    "MOST",
    "TRIES",
    "Crew",
    "Died",
    "Done",
    "Event",
    "JobProgress",
    "JobQuestion",
    "Line",
    "Overdue",
    "Tell",
    "Work",
    "check_count",
    "cores",
    "exit_reason",
    "is_from_outside",
    "spread",
]
