"""The statuses of runs that say nothing about their settings, because they came to no end."""

from dropsmith.record import Record

CRASH_STATUS, LOST_STATUS = "crashed", "lost"
"""The begins of the statuses of a run that raised an error, and of one that was lost by a fault
from outside: its process was killed, memory or the disk failed. Either is run again by the next
call."""


def has_result(record: Record) -> bool:
    """True if a run finished, or was stopped by what its own numbers were."""
    return not record.status.startswith((CRASH_STATUS, LOST_STATUS))


def is_lost(record: Record) -> bool:
    """True if a run was lost by a fault from outside."""
    return record.status.startswith(LOST_STATUS)
