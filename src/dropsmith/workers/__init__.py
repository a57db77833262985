"""Worker processes that outlive a job's mistakes, for comparisons and searches alike."""

from dropsmith.workers.crew import Crew, Tell, cores, spread
from dropsmith.workers.events import Died, Done, Event, JobProgress, JobQuestion, Overdue
from dropsmith.workers.worker_process import Line, Work

__all__ = [
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
    "cores",
    "spread",
]
