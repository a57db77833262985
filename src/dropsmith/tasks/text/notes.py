"""Notes of what was found in a table, in words that are printed before anything is trained."""

import shlex
from collections.abc import Sequence

from dropsmith.tasks.data.table_layout import TableLayout

Notes = tuple[tuple[str, str], ...]
"""Pairs of a word for what a note is about, and the note."""

_SHOWN = 8
"""Columns that a note names, at most."""


def columns_notes(layout: TableLayout, values: dict[str, int] | None = None) -> Notes:
    """The columns and their meaning, and how more of them are read.

    >>> layout = TableLayout(texts=("a", "b"), label="c", kind="regression", unused=("d", "e"))
    >>> dict(columns_notes(layout))
    {'columns': 'pair of texts: a, b; label: c (numbers); not used: d, e'}

    Args:
        layout: of the table.
        values: how many values each column of categories has.
    """
    texts = {0: "", 1: "text: ", 2: "pair of texts: "}.get(len(layout.texts), "one text of: ")
    categories = [f"{name} ({count} values)" for name, count in (values or {}).items()]
    parts = [
        texts + ", ".join(layout.texts),
        _listed("numbers:", layout.numbers),
        _listed("categories:", categories),
        f"label: {layout.label} ({'classes' if layout.kind == 'classification' else 'numbers'})",
        "" if layout.id_column is None else f"id: {layout.id_column}",
        _listed("not used:", layout.unused),
    ]
    notes: Notes = (("columns", "; ".join(filter(None, parts))),)
    if layout.inputs == "text" and layout.unused_features:
        words = [word for name in layout.texts for word in ("--text-column", name)]
        words += ["--feature-columns", ",".join(layout.unused_features[:_SHOWN])]
        notes += (("to add", f"numbers and categories beside the text: {shlex.join(words)}"),)
    return notes


def _listed(word: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{word} {', '.join(names[:_SHOWN])}{more}" if names else ""


def missing_note(names: Sequence[str]) -> Notes:
    """What stands for numbers that are missing in training, where some are."""
    if not names:
        return ()
    which = _listed("numbers in", names)
    return (("missing", f"{which}: the mean stands for them, beside a mark"),)


def unlabelled_note(count: int) -> Notes:
    """How many rows without a label are left out, where there are any.

    >>> unlabelled_note(2)
    (('left out', '2 rows without a label are left out'),)
    """
    if not count:
        return ()
    rows = "row without a label is" if count == 1 else "rows without a label are"
    return (("left out", f"{count:,} {rows} left out"),)


def length_note(sizes: Sequence[int], length: int, unit: str = "words") -> tuple[str, str]:
    """How many words or tokens are kept, and the share of training texts that lose some.

    >>> length_note([3, 5, 70, 7], 64)
    ('text length', 'the first 64 words are kept; 25.0 % of the training texts are longer')
    """
    share = sum(size > length for size in sizes) / max(1, len(sizes))
    longer = f"{100 * share:.1f} % of the training texts are longer" if share else "none is longer"
    return "text length", f"the first {length} {unit} are kept; {longer}"
