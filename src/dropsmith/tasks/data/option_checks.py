"""Checks of the options of data, each with one sentence that says what may be given."""

import codecs
import os
from typing import Any

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.instances import check_type
from dropsmith.numbers import check_whole

_LARGEST_IMAGE = 4_096


def check_word(what: str, value: object, words: tuple[str, ...]) -> None:
    """Raise `TaskError` unless a value is one of some words, or None."""
    if value is not None and value not in words:
        raise TaskError(
            f"no {what} is called {excerpt(value)}\n  there are: {', '.join(words)}"
            + did_you_mean(value, words)
        )


def check_place(what: str, value: Any) -> None:
    """Raise an error unless a value is a path, or None."""
    check_type(what, value, (str, os.PathLike, type(None)), "a path, or None")


def check_names(what: str, names: object) -> None:
    """Raise `TaskError` unless these are names of columns in a tuple."""
    if not isinstance(names, tuple) or not all(isinstance(n, str) and n.strip() for n in names):
        raise TaskError(f"{what} must be names of columns, got {excerpt(names)}")


def check_delimiter(delimiter: object) -> None:
    """Raise `TaskError` unless it is a character that may stand between cells, or None."""
    if delimiter is None:
        return
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise TaskError(
            f"a delimiter is one character, got {excerpt(delimiter)}\n"
            "  the usual ones: ',' or ';' or '|', and tab"
        )


def check_encoding(encoding: object) -> None:
    """Raise `TaskError` unless Python knows an encoding of text by this name, or it is None."""
    if encoding is None:
        return
    try:
        known = isinstance(encoding, str) and codecs.lookup(encoding)._is_text_encoding  # pyright: ignore
    except (LookupError, ValueError):
        known = False
    if not known:
        raise TaskError(
            f"no encoding is called {excerpt(encoding)}\n"
            "  the usual ones: utf-8, utf-16, cp1252 (Windows in western Europe), latin-1, gb18030"
        )


def check_image_size(size: object) -> None:
    """Raise `TaskError` unless it is a height and a width in pixels, or None."""
    if size is None:
        return
    if not isinstance(size, tuple) or len(size) != 2:
        raise TaskError(f"image_size is a height and a width in pixels, got {excerpt(size)}")
    for pixels in size:
        check_whole("image_size", pixels, 1, TaskError, _LARGEST_IMAGE)
