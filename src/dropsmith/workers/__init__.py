"""Worker processes that outlive a job's mistakes, for comparisons and searches alike."""

from dropsmith.workers.crew import Crew, cores
from dropsmith.workers.events import Asked, Died, Done, Event, Overdue, Told
from dropsmith.workers.serve import Line, Work
from dropsmith.workers.spread import Tell, spread

__all__ = [
    "Asked",
    "Crew",
    "Died",
    "Done",
    "Event",
    "Line",
    "Overdue",
    "Tell",
    "Told",
    "Work",
    "cores",
    "spread",
]
