"""The line of the user's own code in which an error arose, for no traceback shows it."""

import traceback
from pathlib import Path

from dropsmith.user_code.source_hash import is_installed


def fault_line(error: BaseException) -> str:
    """A line of a message that names file and line; empty where none is known."""
    place = _place(error)
    return "" if place is None else f"\n  at {place[0]}, line {place[1]}"


def user_fault(error: BaseException) -> str | None:
    """The file and line of the user's own code in which an error arose; None for other errors.

    An error that a library raises arose where the user's code called it.
    """
    place = _place(error, user_only=True)
    return None if place is None else f"{_short(place[0])}, line {place[1]}"


def _short(filename: str) -> str:
    """The path from the working directory, where the file lies in there."""
    try:
        return str(Path(filename).resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return filename


def _place(error: BaseException, user_only: bool = False) -> tuple[str, int] | None:
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return error.filename, error.lineno
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.lineno is not None and not frame.filename.startswith("<")
    ]
    user_frames = [frame for frame in frames if not _is_library(frame[0])]
    if user_frames:
        return user_frames[-1]
    return frames[-1] if frames and not user_only else None


def _is_library(path: str) -> bool:
    return is_installed(path) or "dropsmith_recipes" in Path(path).parts
