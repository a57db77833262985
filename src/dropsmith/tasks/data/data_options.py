"""Settings of how data is read: columns, delimiter, encoding, sizes, and the most that is read."""

import codecs
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.numbers import check_whole
from dropsmith.tasks.data.bounds import USUAL, Bounds

Kind = Literal["classification", "regression"]

FLAGS = {
    "text_columns": "--text-column",
    "label_column": "--label-column",
    "feature_columns": "--feature-columns",
    "id_column": "--id-column",
    "kind": "--kind",
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "image_size": "--image-size",
    "text_length": "--text-length",
}
"""The options of the command line by the names of their fields."""

TABLE = ("text_columns", "label_column", "id_column", "delimiter", "encoding")
"""The options that every table with labels takes."""

_LARGEST_IMAGE, _LONGEST_TEXT = 4_096, 100_000


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Settings of how data is read; what is not set is found in the data.

    They are no part of what a run is: what was read is, and the hash of the data says so.

    >>> DataOptions(label_column="stars", text_length=128).changed()
    ('label_column', 'text_length')

    Args:
        text_columns: the columns of a table that hold text; two are a pair.
        label_column: the column of labels.
        feature_columns: the columns of numbers and categories.
        id_column: the column whose values name the rows; no model sees it.
        kind: whether labels are classes (`classification`) or numbers (`regression`).
        delimiter: the character between the cells of a text file.
        encoding: of a text file, by a name that Python knows, such as `cp1252`.
        image_size: height and width in pixels that pictures are brought to.
        text_length: words or tokens kept of a text.
        bounds: the most that is read.

    Raises:
        TaskError: a value is of another type or out of range.
    """

    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    feature_columns: tuple[str, ...] = ()
    id_column: str | None = None
    kind: Kind | None = None
    delimiter: str | None = None
    encoding: str | None = None
    image_size: tuple[int, int] | None = None
    text_length: int | None = None
    bounds: Bounds = USUAL

    def __post_init__(self) -> None:
        for name in ("text_columns", "feature_columns"):
            _check_names(name, getattr(self, name))
        for name in ("label_column", "id_column"):
            if (value := getattr(self, name)) is not None:
                _check_names(name, (value,))
        if self.kind is not None and self.kind not in get_args(Kind):
            raise TaskError(
                f"no kind of labels is called {excerpt(self.kind)}\n"
                f"  the kinds are: {', '.join(get_args(Kind))}"
                + did_you_mean(self.kind, get_args(Kind))
            )
        _check_delimiter(self.delimiter)
        _check_encoding(self.encoding)
        _check_image_size(self.image_size)
        if self.text_length is not None:
            check_whole("text_length", self.text_length, 1, TaskError, _LONGEST_TEXT)
        if self.text_columns and self.feature_columns:
            raise TaskError(
                "a model reads either columns of text or columns of numbers and categories\n"
                "  give --text-column or --feature-columns, not both"
            )
        self._check_distinct()

    def _check_distinct(self) -> None:
        columns = [*self.text_columns, *self.feature_columns, self.label_column, self.id_column]
        names = [name for name in columns if name is not None]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise TaskError(
                f"the column {twice[0]!r} is given twice\n"
                "  a column is an input, the label or the id, and not two of them"
            )

    def changed(self) -> tuple[str, ...]:
        """The names of the fields that are set, apart from the bounds."""
        return tuple(
            field.name
            for field in fields(self)
            if field.name != "bounds" and getattr(self, field.name) != field.default
        )

    def words(self) -> tuple[str, ...]:
        """The words of the command line that set them.

        >>> DataOptions(text_columns=("title", "body"), image_size=(24, 32)).words()
        ('--text-column', 'title', '--text-column', 'body', '--image-size', '24x32')
        """
        words: list[str] = []
        for name in self.changed():
            value = getattr(self, name)
            if name == "text_columns":
                words += [word for column in value for word in (FLAGS[name], column)]
            else:
                words += [FLAGS[name], _word(name, value)]
        return tuple(words)


def _word(name: str, value: Any) -> str:
    if name == "feature_columns":
        return ",".join(value)
    if name == "image_size":
        return "x".join(map(str, value))
    return {"\t": "tab"}.get(value, str(value))


def _check_names(what: str, names: object) -> None:
    if not isinstance(names, tuple) or not all(isinstance(n, str) and n.strip() for n in names):
        raise TaskError(f"{what} must be names of columns, got {excerpt(names)}")


def _check_delimiter(delimiter: object) -> None:
    if delimiter is None:
        return
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise TaskError(
            f"a delimiter is one character, got {excerpt(delimiter)}\n"
            "  the usual ones: ',' or ';' or '|', and tab"
        )


def _check_encoding(encoding: object) -> None:
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


def _check_image_size(size: object) -> None:
    if size is None:
        return
    if not isinstance(size, tuple) or len(size) != 2:
        raise TaskError(f"image_size is a height and a width in pixels, got {excerpt(size)}")
    for pixels in size:
        check_whole("image_size", pixels, 1, TaskError, _LARGEST_IMAGE)


NO_OPTIONS = DataOptions()
"""Nothing is set: everything is found in the data, within the usual bounds."""
