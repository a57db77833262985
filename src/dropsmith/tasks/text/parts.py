"""Texts and labels for training, validation and test, from whatever parts a source has.

One rule serves every source. Parts of all three kinds are taken as they are. Where one of
validation and test is missing, the other is the test and validation is cut from training. A single
table is divided by a hash of each text. No text is ever in two parts; and of pairs, those that we
divide have no sentence in two parts.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError
from dropsmith.tasks.data.selection import PARTS, part_of, stratified
from dropsmith.tasks.data.sources import from_hub
from dropsmith.tasks.text.tables import BETWEEN, Example, is_table, joined, read_table

CUT = 1_000
"""Validation examples cut from training, at most; never more than 15 in 100."""

Parts = dict[str, list[Example]]

_STEMS = {
    "train": ("train",),
    "validation": ("dev", "val"),
    "test": ("test",),
    "all": ("all",),
}


def parts_in(
    path: Path, text: Sequence[str], label: str = "label", second: str | None = None
) -> Parts:
    """The parts in a table, or in a folder of tables named after them (`train.tsv.gz`, …).

    Args:
        path: of the table or the folder.
        text, label, second: as for `read_table`.

    Raises:
        DataError: there is no table, or one of them cannot be read.
    """
    if path.is_file():
        return {"all": read_table(path, text, label, second)}
    if not path.is_dir():
        raise DataError(f"no file or folder {path}")
    tables = [table for table in sorted(path.iterdir()) if is_table(table)]
    found: Parts = {}
    for part, stems in _STEMS.items():
        mine = [table for table in tables if table.name.lower().startswith(stems)]
        if mine:
            found[part] = [row for table in mine for row in read_table(table, text, label, second)]
    if not found:
        raise DataError(
            f"no table in {path}\n"
            "  looked for: train, dev and test, or all, as .csv, .tsv or .jsonl, perhaps .gz"
        )
    return found


def parts_on_hub(
    path: str, config: str | None, text: str, task: str, second: str | None = None
) -> Parts:
    """The parts of a data set on the Hub whose labels are not kept secret."""
    loaded = from_hub(path, config, task)
    columns = [text] if second is None else [text, second]
    # Of MNLI, the parts from the same kinds of text as its training sentences.
    named = {part: name for part in PARTS for name in (f"{part}_matched", part) if name in loaded}
    every = {part: _rows(loaded[name], columns) for part, name in named.items()}
    return {
        part: rows for part, rows in every.items() if any(float(label) != -1 for _, label in rows)
    }


def _rows(split: Any, columns: Sequence[str]) -> list[Example]:
    texts = zip(*(map(str, split[name]) for name in columns), strict=True)
    labels = map(str, split["label"])
    return [(joined(*text), label) for text, label in zip(texts, labels, strict=True)]


def settled(parts: Parts, pairs: bool = False) -> Parts:
    """Training, validation and test from the parts there are, without a text in common.

    Parts of pairs that are taken as they are may share single sentences, as those of GLUE do.

    >>> rows = [(f"text {i}", str(i % 2)) for i in range(100)]
    >>> parts = settled({"train": rows, "test": [("text 7", "1"), ("new", "0")]})
    >>> {name: len(part) for name, part in parts.items()}
    {'train': 84, 'validation': 15, 'test': 2}

    Args:
        parts: those there are, by name.
        pairs: whether texts are pairs of sentences.
    """
    found = {part: rows for part, rows in parts.items() if rows}
    held = [part for part in ("validation", "test") if part in found]
    if len(held) == 2 and "train" in found:
        return _apart({part: found[part] for part in PARTS})
    if len(held) == 1 and "train" in found:
        train, validation = (_cut_between if pairs else _cut)(found["train"])
        return _apart({"train": train, "validation": validation, "test": found[held[0]]})
    every = [row for rows in found.values() for row in rows]
    return _hashed(every, groups(every) if pairs else [text for text, _ in every])


def _cut(rows: list[Example]) -> tuple[list[Example], list[Example]]:
    names = sorted({label for _, label in rows})
    share = min(CUT / len(rows), 0.15)
    train, cut = stratified([names.index(label) for _, label in rows], (1 - share, share))
    return [rows[i] for i in train.tolist()], [rows[i] for i in cut.tolist()]


def _cut_between(rows: list[Example]) -> tuple[list[Example], list[Example]]:
    """As `_cut`, but pairs with a sentence in common stay together."""
    names, wanted = groups(rows), min(CUT, round(0.15 * len(rows)))
    sizes = Counter(names)
    held: set[str] = set()
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if wanted >= sizes[name]:
            held.add(name)
            wanted -= sizes[name]
    train = [row for row, name in zip(rows, names, strict=True) if name not in held]
    return train, [row for row, name in zip(rows, names, strict=True) if name in held]


def _hashed(rows: list[Example], names: Sequence[str]) -> Parts:
    """Rows by a hash of the name of each: rows of one name stay together."""
    parts: Parts = {part: [] for part in PARTS}
    for row, name in zip(rows, names, strict=True):
        parts[part_of(name.encode())].append(row)
    return parts


def _apart(parts: Parts) -> Parts:
    """The parts without training and validation texts that are seen again in a later one."""
    tested = {text for text, _ in parts["test"]}
    validation = [row for row in parts["validation"] if row[0] not in tested]
    held = tested | {text for text, _ in validation}
    train = [row for row in parts["train"] if row[0] not in held]
    return {"train": train, "validation": validation, "test": parts["test"]}


def groups(rows: Sequence[Example]) -> list[str]:
    """For each pair, a name that it has in common with all pairs that hang together with it.

    >>> groups([("a\\tb", "1"), ("c\\td", "0"), ("e\\tb", "0"), ("e\\tf", "1")])
    ['a', 'c', 'a', 'a']

    Args:
        rows: texts with `BETWEEN` between their sentences, and labels.
    """
    above: dict[str, str] = {}

    def first(sentence: str) -> str:
        while above.setdefault(sentence, sentence) != sentence:
            above[sentence] = above[above[sentence]]
            sentence = above[sentence]
        return sentence

    pairs = [text.split(BETWEEN) for text, _ in rows]
    for pair in pairs:
        # The name is the least sentence of all, so that it does not hang on the order of rows.
        least, *others = sorted(map(first, pair))
        for other in others:
            above[other] = least
    return [first(pair[0]) for pair in pairs]
