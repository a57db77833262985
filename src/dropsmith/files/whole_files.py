"""Files that are written whole or not at all, even where the disk fills up or the power fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to in a `with` block, whose file takes the place of `path` at its end.

    The temporary file lies beside `path`, has a name that no other process has, and goes where the
    block fails. A link at `path` is replaced, not followed.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.txt"
    >>> with whole_file(path) as partial:
    ...     _ = partial.write_text("0.5")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('0.5', ['scores.txt'])

    Raises:
        OSError: the file cannot be written; one that was there before is as it was.
    """
    partial = path.with_name(f".{token_hex(8)}.{os.getpid()}.partial")
    try:
        yield partial
        _wait_for_disk(partial)
        partial.replace(path)
    finally:
        with suppress(OSError):  # it is gone where all went well
            partial.unlink()
    _wait_for_disk(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 to a file, whole or not at all.

    Raises:
        OSError: the file cannot be written; one that was there before is as it was.
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _wait_for_disk(path: Path) -> None:
    # A folder is waited for as well, or its new name may be lost; Windows cannot open one.
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
