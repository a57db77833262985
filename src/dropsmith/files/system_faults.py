"""Refusals of the system, such as of a full disk: found behind an error, and said in a sentence."""

import errno
import os
import re

_TEMPORARY = frozenset(
    number
    for name in (
        *("ENOSPC", "EDQUOT"),  # there is no room, or none left of a share
        *("EIO", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("EAGAIN", "EBUSY", "EINTR", "ENFILE", "EMFILE", "ENOMEM", "ENOBUFS"),
    )
    if (number := getattr(errno, name, None)) is not None
)

_ADVICE = {
    errno.ENOSPC: "make room there, and type the command again: it goes on from what is kept",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: "name a file or folder that this user may use",
    errno.EPERM: "name a file or folder that this user may use",
    errno.ENAMETOOLONG: "name it more shortly",
    errno.ENOTDIR: "a file stands where a folder should be: move it, or name another folder",
    errno.EEXIST: "a file stands where a folder should be: move it, or name another folder",
    errno.EISDIR: "a folder stands where a file should be: move it, or name another file",
    errno.ENOENT: "look whether its folder is still there",
    errno.EMFILE: "let the process have more open files: ulimit -n",
}
if hasattr(errno, "EDQUOT"):
    _ADVICE[errno.EDQUOT] = _ADVICE[errno.ENOSPC]

_IN_WORDS = re.compile(r"\(os error (\d+)\)|\[Errno (\d+)\]")
"""How Rust's libraries, and errors that came through another process, write a number."""


def system_fault(error: BaseException) -> OSError | None:
    """The refusal of the system that an error is, was raised from, or tells in words.

    >>> system_fault(ValueError("cannot write: No space left on device (os error 28)"))
    OSError(28, 'No space left on device')
    >>> system_fault(ValueError("no number")) is None
    True
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        if match := _IN_WORDS.search(str(cause)):
            number = int(match[1] or match[2])
            return OSError(number, os.strerror(number))
        cause = cause.__cause__
    return None


def is_temporary(error: BaseException) -> bool:
    """True if the same may succeed later, when there is room again or a server answers.

    >>> is_temporary(OSError(errno.ENOSPC, "No space left on device"))
    True
    >>> is_temporary(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    False
    """
    fault = system_fault(error)
    return fault is not None and fault.errno in _TEMPORARY


def system_sentence(error: OSError) -> str:
    """What the system refused, why, and what helps.

    >>> print(system_sentence(OSError(errno.ENAMETOOLONG, "File name too long", "aaa")))
    the system refuses 'aaa': File name too long
      name it more shortly
    """
    reason = error.strerror or str(error) or type(error).__name__
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if _is_name(name)]
    what = f"the system refuses {' and '.join(map(repr, names))}" if names else "the system says"
    advice = _ADVICE.get(error.errno or 0)
    return f"{what}: {reason}" + (f"\n  {advice}" if advice else "")


def _is_name(name: object) -> bool:
    return isinstance(name, str | bytes | os.PathLike)
