"""Settings of how data is read: columns, delimiter, encoding, sizes, and the most that is read."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from dropsmith.errors import TaskError
from dropsmith.numbers import check_whole
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.number_forms import DecimalSign
from dropsmith.tasks.data.option_checks import (
    check_delimiter,
    check_encoding,
    check_image_size,
    check_names,
    check_place,
    check_word,
)
from dropsmith.tasks.data.repeats import DropRepeats

Kind = Literal["classification", "regression"]

FLAGS = {
    "validation": "--validation",
    "test": "--test",
    "text_columns": "--text-column",
    "label_column": "--label-column",
    "feature_columns": "--feature-columns",
    "id_column": "--id-column",
    "kind": "--kind",
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "decimal": "--decimal",
    "image_size": "--image-size",
    "text_length": "--text-length",
    "drop_repeats": "--drop-repeats",
}
"""The options of the command line by the names of their fields."""

TABLE = ("text_columns", "label_column", "id_column", "delimiter", "encoding", "drop_repeats")
"""The options that every table with labels takes."""

OWN_TABLE = ("validation", "test", *TABLE, "feature_columns", "kind", "decimal", "text_length")
"""The options that a table of the user's own takes."""

_LONGEST_TEXT = 100_000


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Settings of how data is read; what is not set is found in the data.

    They are no part of what a run is: what was read is, and the hash of the data says so. Only
    `drop_repeats` is in the configuration of a run.

    >>> DataOptions(label_column="stars", text_length=128).changed()
    ('label_column', 'text_length')

    Args:
        validation, test: the table, or folder of pictures, of a part; the data is then what the
            model is trained on.
        text_columns: the columns of a table that hold text; two are a pair.
        label_column: the column of labels.
        feature_columns: the columns of numbers and categories.
        id_column: the column whose values name the rows; no model sees it.
        kind: whether labels are classes (`classification`) or numbers (`regression`).
        delimiter: the character between the cells of a text file.
        encoding: of a text file, by a name that Python knows, such as `cp1252`.
        decimal: the point or the comma before the decimals of numbers.
        image_size: height and width in pixels that pictures are brought to.
        text_length: words or tokens kept of a text.
        drop_repeats: the side that examples are left out of that stand in more than one part:
            `train` leaves them out of training, and out of validation where test has them too;
            `test` out of validation and test. None is what the task does by itself.
        bounds: the most that is read.

    Raises:
        TaskError: a value is of another type or out of range.
    """

    validation: str | Path | None = None
    test: str | Path | None = None
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    feature_columns: tuple[str, ...] = ()
    id_column: str | None = None
    kind: Kind | None = None
    delimiter: str | None = None
    encoding: str | None = None
    decimal: DecimalSign | None = None
    image_size: tuple[int, int] | None = None
    text_length: int | None = None
    drop_repeats: DropRepeats | None = None
    bounds: Bounds = USUAL

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            check_place(name, getattr(self, name))
        for name in ("text_columns", "feature_columns"):
            check_names(name, getattr(self, name))
        for name in ("label_column", "id_column"):
            if (value := getattr(self, name)) is not None:
                check_names(name, (value,))
        check_word("kind of labels", self.kind, get_args(Kind))
        check_word("decimal sign", self.decimal, get_args(DecimalSign))
        check_word("side of repeated examples", self.drop_repeats, get_args(DropRepeats))
        check_delimiter(self.delimiter)
        check_encoding(self.encoding)
        check_image_size(self.image_size)
        if self.text_length is not None:
            check_whole("text_length", self.text_length, 1, TaskError, _LONGEST_TEXT)
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


NO_OPTIONS = DataOptions()
"""Nothing is set: everything is found in the data, within the usual bounds."""
