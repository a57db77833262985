"""A fault from outside of a job is told from one of the job's own code."""

import errno
import resource

import pytest
import torch

from dropsmith.workers import is_from_outside


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
)
def test_memory_disk_and_killed_processes_are_outside(error: Exception):
    assert is_from_outside(error)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "my/table.csv"),
        KeyError("a"),
    ],
)
def test_what_the_code_itself_does_is_not(error: Exception):
    assert not is_from_outside(error)


def test_what_torch_says_when_there_is_no_memory_is_known():
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (64 << 30, limits[1]))
    try:
        with pytest.raises(RuntimeError) as none:
            torch.empty(1 << 40, dtype=torch.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert is_from_outside(none.value)
