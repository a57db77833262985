"""Keys of the rows of tables, equal where the inputs of two rows count as equal."""

from collections.abc import Sequence

from dropsmith.tasks.data.label_column import is_no_number
from dropsmith.tasks.data.number_forms import number_in
from dropsmith.tasks.data.repeats import DropRepeats, Keys, rows_to_keep, text_key
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.text.parts import Parts
from dropsmith.tasks.text.tables import SEPARATOR, Example


def row_keys(rows: Sequence[Example], texts: int | None = None) -> list[bytes]:
    """A key of each row: its texts are normalised, and its numbers go by their value.

    >>> rows = [("A film.\\t1.0", "x"), ("a film .\\t1", "y"), ("a film .\\t2", "y")]
    >>> a, b, c = row_keys(rows, 1)
    >>> a == b, b == c
    (True, False)

    Args:
        rows: their cells as one text, and their labels.
        texts: how many of the first cells are texts; all where None.
    """
    return [_key(cells.split(SEPARATOR), texts) for cells, _ in rows]


def _key(cells: list[str], texts: int | None) -> bytes:
    if texts is None:
        return text_key(*cells)
    return text_key(*cells[:texts]) + "\0".join(map(_value, cells[texts:])).encode()


def _value(cell: str) -> str:
    if is_no_number(cell):
        return ""
    number = number_in(cell)
    return cell.strip() if number is None else repr(number)


def keys_of_parts(parts: Parts, texts: int | None = None) -> dict[str, list[bytes]]:
    """The keys of the rows of each part; see `row_keys`."""
    return {part: row_keys(rows, texts) for part, rows in parts.items()}


def shared_texts(parts: Parts, columns: Sequence[str]) -> list[str]:
    """Of pairs, the rows of validation and test whose one text is in training, in words.

    >>> parts = {"train": [("a\\tb", "1")], "validation": [], "test": [("A\\tc", "1")]}
    >>> shared_texts(parts, ("premise", "hypothesis"))
    ['of 1 test pair, 1 shares its premise with training']

    Args:
        parts: the rows in use.
        columns: the names of the columns of texts, of which pairs have two.
    """
    if len(columns) != 2:
        return []
    said = []
    keys = {part: _column_keys(rows) for part, rows in parts.items()}
    known = [set(column) for column in keys["train"]]
    for part in PARTS[1:]:
        counts = [
            (sum(key in earlier for key in column), name)
            for column, earlier, name in zip(keys[part], known, columns, strict=True)
        ]
        if found := [_share(count, name) for count, name in counts if count]:
            pairs = "pair" if len(parts[part]) == 1 else "pairs"
            said.append(f"of {len(parts[part]):,} {part} {pairs}, {' and '.join(found)}")
    return [f"{words} with training" for words in said]


def _column_keys(rows: Sequence[Example]) -> list[list[bytes]]:
    texts = [cells.split(SEPARATOR) for cells, _ in rows]
    return [[text_key(row[column]) for row in texts] for column in range(2)]


def _share(count: int, name: str) -> str:
    return f"{count:,} {'shares its' if count == 1 else 'share their'} {name}"


def drop_rows(parts: Parts, keys: Keys, drop: DropRepeats, what: str) -> Parts:
    """The parts without the rows that another part keeps; see `rows_to_keep`.

    Raises:
        DataError: nothing is left of a part.
    """
    kept = rows_to_keep(keys, drop, what)
    return {part: [rows[row] for row in kept[part]] for part, rows in parts.items()}


def count_left_out(before: Parts, after: Parts) -> dict[str, int]:
    """How many rows of each part are not there any more.

    >>> count_left_out({"train": [("a", "1"), ("b", "0")]}, {"train": [("a", "1")]})
    {'train': 1}
    """
    return {part: len(rows) - len(after[part]) for part, rows in before.items()}
