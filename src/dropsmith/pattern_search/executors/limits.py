"""The number of trials at the same time, and the time of each, as far as there can be such."""

from math import isfinite

from dropsmith.errors import SearchError
from dropsmith.workers import MOST, check_count

MOST_REMOTE = 100_000
"""The largest number of trials at the same time on the machines of a cluster."""


def check_limits(workers: int | None, timeout: float | None, most: int = MOST) -> None:
    """Check the number of workers and the seconds of a trial.

    Raises:
        SearchError: there can be no such number.
    """
    check_count("workers", workers, SearchError, most)
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (number and timeout > 0 and isfinite(timeout)):
        raise SearchError(
            f"timeout is a number of seconds above 0, or None for no limit, got {timeout!r}"
        )
