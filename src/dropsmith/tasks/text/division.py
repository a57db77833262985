"""Rows divided into training, validation and test: equal inputs are in one part."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from dropsmith.tasks.data.selection import PARTS, part_of
from dropsmith.tasks.text.parts import CUT, Parts, sentence_groups, shared_names
from dropsmith.tasks.text.row_keys import row_keys
from dropsmith.tasks.text.tables import SEPARATOR, Example

Names = Callable[[Sequence[Example]], Sequence[str]]
"""Gives each row a name, equal for rows that have to be in one part."""


def divide(parts: Parts, names_of: Names) -> Parts:
    """Training, validation and test from the parts there are; rows of one name stay together.

    A part that is missing is cut from training; where there is no training beside others, all rows
    are divided anew.

    >>> rows = [(f"text {i % 90}", "a") for i in range(100)]
    >>> parts = {"train": rows, "validation": [("new", "a")]}
    >>> parts = divide(parts, lambda rows: [text for text, _ in rows])
    >>> {part: len(rows) for part, rows in parts.items()}
    {'train': 85, 'validation': 1, 'test': 15}

    Args:
        parts: those there are, of which empty ones are none.
        names_of: a name for each row.
    """
    present = {part: rows for part, rows in parts.items() if rows}
    if "train" not in present or len(present) == 1:
        rows = [row for part in present.values() for row in part]
        divided: Parts = {part: [] for part in PARTS}
        for row, name in zip(rows, names_of(rows), strict=True):
            divided[part_of(name.encode())].append(row)
        return divided
    for missing in [part for part in PARTS if part not in present]:
        rows = present["train"]
        names = names_of(rows)
        cut = _cut_names(names)
        for part, is_in in (("train", False), (missing, True)):
            pairs = zip(rows, names, strict=True)
            present[part] = [row for row, name in pairs if (name in cut) == is_in]
    return {part: present[part] for part in PARTS}


def _cut_names(names: Sequence[str]) -> set[str]:
    """The names of 15 rows in 100, at most `CUT`, by a hash of each name."""
    room, sizes = min(CUT, round(0.15 * len(names))), Counter(names)
    cut: set[str] = set()
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if room >= sizes[name]:
            cut.add(name)
            room -= sizes[name]
    return cut


def group_names(rows: Sequence[Example], texts: int) -> list[str]:
    """A name for each row, equal for rows that have to be in one part.

    >>> group_names([("a\\tb\\t7", "1"), ("c\\tb\\t8", "0")], 2)
    ['a', 'a']
    >>> group_names([("a\\t7", "1"), ("A\\t8", "0")], 1)
    ['A', 'A']

    Args:
        rows: their cells as one text, and their labels.
        texts: how many of the first cells are texts: of one or several their texts decide, of two
            each text by itself, and of none all cells.
    """
    count = texts or None
    names = [(SEPARATOR.join(cells.split(SEPARATOR)[:count]), "") for cells, _ in rows]
    if texts == 2:
        return sentence_groups(names)
    return shared_names([name for name, _ in names], row_keys(names, texts))
