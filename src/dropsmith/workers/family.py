"""What a process has started, which is to end with it."""

from collections.abc import Iterable
from contextlib import suppress

import psutil


def family_of(process: int | None) -> list[psutil.Process]:
    """Its children and theirs, as long as it lives: later nobody knows whose they were."""
    with suppress(psutil.Error):
        return psutil.Process(process).children(recursive=True)
    return []


def end_all(processes: Iterable[psutil.Process]) -> None:
    """End each at once; another process that has got its number since is left alone."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
