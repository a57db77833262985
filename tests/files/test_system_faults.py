"""Refusals of the system are found wherever they are told, and said in a sentence."""

import errno
import os

import pytest

from dropsmith.errors import CheckpointError
from dropsmith.files import is_temporary, system_fault, system_sentence

PASSING = ("ENOSPC", "EDQUOT", "EIO", "ESTALE", "EMFILE", "ENOMEM", "EAGAIN")
LASTING = ("EROFS", "EACCES", "ENAMETOOLONG", "ENOTDIR", "ENOENT", "EISDIR", "EPIPE", "EBADF")


def fault(name: str, *names: str) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize("name", PASSING + LASTING)
def test_only_what_may_pass_is_waited_for(name: str):
    assert is_temporary(fault(name)) is (name in PASSING)


def raised_from(cause: Exception) -> Exception:
    try:
        raise CheckpointError("cannot write it") from cause
    except CheckpointError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        fault("ENOSPC"),
        raised_from(fault("ENOSPC")),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        raised_from(RuntimeError("I/O error: No space left on device (os error 28)")),
        OSError("Caught OSError in DataLoader worker process 0.\n[Errno 28] No space left"),
    ],
    ids=["itself", "cause", "words", "cause in words", "other process"],
)
def test_a_full_disk_is_seen_however_it_is_told(error: Exception):
    found = system_fault(error)
    assert found is not None
    assert found.errno == errno.ENOSPC
    assert is_temporary(error)


@pytest.mark.parametrize("error", [ValueError("no"), OSError("no number"), ZeroDivisionError()])
def test_a_fault_of_the_code_is_none_of_the_system(error: Exception):
    assert system_fault(error) is None
    assert not is_temporary(error)


@pytest.mark.parametrize("name", PASSING + LASTING)
@pytest.mark.parametrize("names", [(), ("runs/[red]a",), ("a", None, "b"), (b"\xff",), (3,)])
def test_every_refusal_is_a_sentence_with_the_file_and_the_reason(name: str, names: tuple):
    lines = system_sentence(fault(name, *names)).splitlines()
    assert os.strerror(getattr(errno, name)) in lines[0]
    assert all(repr(n) in lines[0] for n in names if isinstance(n, str))
    assert all(line.startswith("  ") for line in lines[1:])


def test_an_error_without_a_number_keeps_its_words():
    assert system_sentence(OSError("the tape is torn")) == "the system says: the tape is torn"
