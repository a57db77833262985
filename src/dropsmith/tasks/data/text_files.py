"""Text in files, gzipped or not: read line by line, and never further than bounds allow."""

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, cast

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import USUAL, Bounds

_BUFFER = 2**20
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")

# The marks at the begin of a file, the longer ones first: that of UTF-16 begins that of UTF-32.
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_UTF_8_MARK, _GZIP_MARK = b"\xef\xbb\xbf", b"\x1f\x8b"


class _Counted(RawIOBase):
    """The bytes of a file after it is expanded, up to a bound."""

    def __init__(self, source: BinaryIO, path: Path, bounds: Bounds) -> None:
        self._source, self._path, self._bounds = source, path, bounds
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._source.read(len(buffer))
        self._count += len(data)
        if self._count > self._bounds.bytes:
            raise self._bounds.excess("bytes", str(self._path))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _opened(path: Path, bounds: Bounds) -> Iterator["BufferedReader[_Counted]"]:
    """The expanded bytes of a file after its mark; every fault in it becomes a `DataError`."""
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is no regular file")
        with path.open("rb") as file:
            source = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            reader = BufferedReader(_Counted(cast(BinaryIO, source), path, bounds), _BUFFER)
            _check_mark(reader, path)
            yield reader
    except EOFError:
        raise DataError(f"cannot read {path}\n  its compressed text is cut off") from None
    except (OSError, zlib.error) as error:
        raise DataError(f"cannot read {path}\n  {error}") from None


def _check_mark(reader: "BufferedReader[_Counted]", path: Path) -> None:
    head = reader.peek(4)[:4]
    if head.startswith(_UTF_8_MARK):
        reader.read(len(_UTF_8_MARK))
    if name := next((name for mark, name in _MARKS if head.startswith(mark)), None):
        raise DataError(
            f"{path} is in {name}, and texts are read in UTF-8\n"
            f"  convert it: iconv -f {name} -t UTF-8"
        )
    if head.startswith(_GZIP_MARK) and path.suffix != ".gz":
        raise DataError(f"{path} is gzipped\n  name it so: {path.name}.gz")


def text_lines(path: Path, bounds: Bounds = USUAL) -> Iterator[str]:
    """The lines of a file in UTF-8, each with its end: a line feed, a return, or both.

    Args:
        path: of a regular file; gzipped where its name ends in `.gz`.
        bounds: the most that is read, in bytes of the file and of a line (`row_bytes`).

    Raises:
        DataError: it cannot be read, is damaged, is no text in UTF-8, or is too large.
    """
    number = 0
    with _opened(path, bounds) as reader:
        for data in _pieces(reader, bounds.row_bytes):
            for line in _split(data) if b"\r" in data else (data,):
                number += 1
                if len(line) > bounds.row_bytes:
                    raise bounds.excess("row_bytes", f"line {number} of {path}")
                yield _decoded(line, number, path)


def _pieces(reader: "BufferedReader[_Counted]", most: int) -> Iterator[bytes]:
    """Whole lines, several at once where returns end them; one of more bytes than `most` is cut."""
    rest = b""
    while data := reader.readline(most + 2):
        data, rest = rest + data, b""
        if len(data) > most and not data.endswith(b"\n"):
            cut = data.rfind(b"\r", 0, -1) + 1  # a last return may be half of an end
            if cut or data.endswith(b"\r"):
                data, rest = data[:cut], data[cut:]
        if data:
            yield data
    if rest:
        yield rest


def _split(data: bytes) -> Iterator[bytes]:
    return (match[0] for match in _LINE.finditer(data) if match[0])


def _decoded(data: bytes, number: int, path: Path) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"line {number} of {path} is not in UTF-8\n  {error}") from None
    if "\0" in text:
        raise DataError(
            f"line {number} of {path} has a byte 0, which no text in UTF-8 has\n"
            "  where it is a text in UTF-16, convert it: iconv -f UTF-16LE -t UTF-8"
        )
    return text


def read_text(path: Path, bounds: Bounds = USUAL) -> str:
    """The text of a file in UTF-8, gzipped where its name ends in `.gz`.

    Raises:
        DataError: it cannot be read, is damaged, is no text in UTF-8, or is too large.
    """
    number, lines = 0, []
    with _opened(path, bounds) as reader:
        for data in reader:
            number += 1
            if number > bounds.rows:
                raise bounds.excess("rows", str(path))
            lines.append(_decoded(data, number, path))
    return "".join(lines)
