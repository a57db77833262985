"""Text in files, gzipped or not: read line by line, and never further than bounds allow."""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, cast

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import USUAL, Bounds

_BUFFER = 2**20
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")

# The marks at the begin of a file, the longer ones first: that of UTF-16 begins that of UTF-32.
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_GZIP_MARK = b"\x1f\x8b"
_UTF_8 = "utf-8"


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
            raise DataError(f"{path} is not a regular file")
        with path.open("rb") as file:
            source = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            reader = BufferedReader(_Counted(cast(BinaryIO, source), path, bounds), _BUFFER)
            _check_unzipped(reader, path)
            yield reader
    except EOFError:
        raise DataError(f"cannot read {path}\n  its compressed text is cut off") from None
    except (OSError, zlib.error) as error:
        raise DataError(f"cannot read {path}\n  {error}") from None


def _check_unzipped(reader: "BufferedReader[_Counted]", path: Path) -> None:
    if reader.peek(2)[:2] == _GZIP_MARK and path.suffix != ".gz":
        raise DataError(f"{path} is gzipped\n  name it so: {path.name}.gz")


def _take_mark(reader: "BufferedReader[_Counted]", path: Path, encoding: str | None) -> str:
    """The encoding that the mark at a file's beginning says, else the one named, else UTF-8."""
    head = reader.peek(4)[:4]
    mark, found = next((pair for pair in _MARKS if head.startswith(pair[0])), (b"", None))
    wanted = None if encoding is None else codecs.lookup(encoding).name
    if found is None:
        return wanted or _UTF_8
    if wanted is not None and not found.startswith(wanted.removesuffix("-sig")):
        raise DataError(
            f"{path} begins with the mark of {found.upper()}, and {encoding} was given\n"
            "  leave the encoding out"
        )
    reader.read(len(mark))
    return found


def text_encoding(path: Path, bounds: Bounds = USUAL, encoding: str | None = None) -> str:
    """The encoding in which `text_lines` reads a file; `DataError` where it cannot be read."""
    with _opened(path, bounds) as reader:
        return _take_mark(reader, path, encoding)


def text_lines(path: Path, bounds: Bounds = USUAL, encoding: str | None = None) -> Iterator[str]:
    """The lines of a text file, each with its end: a line feed, a return, or both.

    Args:
        path: of a regular file; gzipped where its name ends in `.gz`.
        bounds: the most that is read, in bytes of the file and of a line (`row_bytes`).
        encoding: by a name that Python knows; where None, that of the mark at its beginning, and
            UTF-8 where it has none.

    Raises:
        DataError: it cannot be read, is damaged, is in another encoding, or is too large.
    """
    with _opened(path, bounds) as reader:
        found = _take_mark(reader, path, encoding)
        if found == _UTF_8:
            yield from _lines_in_utf_8(reader, path, bounds)
        else:
            yield from _lines_in(reader, path, bounds, found)


def _lines_in_utf_8(
    reader: "BufferedReader[_Counted]", path: Path, bounds: Bounds
) -> Iterator[str]:
    number = 0
    for data in _pieces(reader, bounds.row_bytes):
        for line in _split(data) if b"\r" in data else (data,):
            number += 1
            if len(line) > bounds.row_bytes:
                raise bounds.excess("row_bytes", f"line {number} of {path}")
            yield _decoded(line, number, path)


def _lines_in(
    reader: "BufferedReader[_Counted]", path: Path, bounds: Bounds, encoding: str
) -> Iterator[str]:
    text, number = TextIOWrapper(reader, encoding=encoding, newline=""), 0
    try:
        while line := text.readline(bounds.row_bytes + 1):
            number += 1
            if len(line) > bounds.row_bytes:
                raise bounds.excess("row_bytes", f"line {number} of {path}")
            yield line
    except UnicodeError as error:
        raise DataError(
            f"{path} is not in {encoding}, after line {number}\n  {error}\n  {_ADVICE}"
        ) from None
    finally:
        text.detach()


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


_ADVICE = (
    "say which encoding it is in, such as --encoding cp1252, utf-16-le or gb18030, "
    "or DataOptions(encoding=...)"
)


def _decoded(data: bytes, number: int, path: Path) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"line {number} of {path} is not in UTF-8\n  {error}\n  {_ADVICE}"
        ) from None
    if "\0" in text:
        raise DataError(
            f"line {number} of {path} has a byte 0, which no text in UTF-8 has\n"
            "  where it is a text in UTF-16: --encoding utf-16-le"
        )
    return text


def read_text(path: Path, bounds: Bounds = USUAL, encoding: str | None = None) -> str:
    """The text of a file, gzipped where its name ends in `.gz`.

    Args:
        path, bounds, encoding: as for `text_lines`; a line may be as long as the file.

    Raises:
        DataError: it cannot be read, is damaged, is in another encoding, or is too large.
    """
    lines: list[str] = []
    for line in _long_lines(path, bounds, encoding):
        if len(lines) == bounds.rows:
            raise bounds.excess("rows", str(path))
        lines.append(line)
    return "".join(lines)


def _long_lines(path: Path, bounds: Bounds, encoding: str | None) -> Iterator[str]:
    with _opened(path, bounds) as reader:
        found = _take_mark(reader, path, encoding)
        if found == _UTF_8:
            for number, data in enumerate(reader, start=1):
                yield _decoded(data, number, path)
        else:
            yield from _lines_in(reader, path, replace(bounds, row_bytes=bounds.bytes), found)
