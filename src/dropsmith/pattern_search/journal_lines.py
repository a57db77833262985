"""The lines of a journal file, looked at before anything is changed: is it one of ours?"""

import re
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, SearchError, excerpt
from dropsmith.files import parse_json

STUDY_NAME = re.compile(r"[\w.-]+@[0-9a-f]{12}")
"""Names of studies as a search writes them: its own, and the version of its space."""

_START = b'{"op_code":0,"worker_id":"'
"""The first bytes of every journal of Optuna's: a study is created."""

_ENOUGH = len(b'{"op_code":0')

_EVERY_START = b'{"op_code":'
_LONGEST_FIRST = 1 << 16
_CREATE_STUDY = 0


def check_journal(path: Path) -> None:
    """Raise `SearchError` if a file is there that is no journal of a search; nothing is changed.

    An empty file, and one that ends in its first line as a kill may leave it, may become one; the
    less of that line is there, the less says that it is not another program's.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise SearchError("it is not a regular file")
    with path.open("rb") as file:
        line = file.readline(_LONGEST_FIRST)
    if not line or (not line.endswith(b"\n") and _may_begin(line)):
        return
    if _START.startswith(line):
        raise SearchError(
            f"its only line is cut short after {len(line)} bytes, too few to say whose it is\n"
            "  if a search that was killed left it, remove it and give the same command again"
        )
    values = _step(line)
    if values is None or values.get("op_code") != _CREATE_STUDY:
        raise SearchError("its first line is not that of a journal of Optuna's")
    name = values.get("study_name")
    if not isinstance(name, str) or not STUDY_NAME.fullmatch(name):
        raise SearchError(
            f"it is a journal of Optuna's, but of no search: its study is {excerpt(name)}"
        )


def _may_begin(line: bytes) -> bool:
    """True if the rest of a line, cut short, is beyond doubt the beginning of a journal."""
    return line.startswith(_START) or (_START.startswith(line) and len(line) >= _ENOUGH)


def cut_partial_line(path: Path) -> None:
    """Cut off the rest of a line whose write was cut short.

    Raises:
        SearchError: the rest is not the beginning of a line of ours, or the line before is none.
    """
    if not path.exists():
        return
    text = path.read_bytes()
    complete = text.rfind(b"\n") + 1
    # Optuna would pass over a last line that is no JSON, and fail at the next.
    if complete and _step(text[:complete].splitlines()[-1]) is None:
        raise SearchError("its last line is no step of a study")
    rest = text[complete:]
    if rest and rest[: len(_EVERY_START)] != _EVERY_START[: len(rest)]:
        raise SearchError("it does not end in a line of a journal")
    if rest:
        with path.open("rb+") as file:
            file.truncate(complete)


def _step(line: bytes) -> dict[str, Any] | None:
    try:
        values = parse_json(line)
    except DataError:
        return None
    step = isinstance(values, dict) and type(values.get("op_code")) is int
    return values if step else None
