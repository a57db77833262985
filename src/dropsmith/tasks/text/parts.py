"""Texts and labels for training, validation and test, from whatever parts a source has.

One rule serves every source. Parts of all three kinds are taken as they are. Where one of
validation and test is missing, the other is the test and validation is cut from training. A single
table is divided by a hash of each text. No text is ever in two parts; of a single table, no text
that is equal once it is normalised; and of pairs, those that we divide have no sentence in two
parts.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.repeats import text_key
from dropsmith.tasks.data.selection import PARTS, part_of, stratify
from dropsmith.tasks.data.sources import load_from_hub
from dropsmith.tasks.data.table_parts import part_tables
from dropsmith.tasks.text.label_checks import LabelCheck, Place
from dropsmith.tasks.text.tables import SEPARATOR, Example, join_sentences, read_table

CUT = 1_000
"""Validation examples cut from training, at most; never more than 15 in 100."""

Parts = dict[str, list[Example]]


def read_parts(
    path: Path,
    text: Sequence[str],
    label: str = "label",
    second: str | None = None,
    *,
    columns: Sequence[str] = (),
    options: DataOptions = NO_OPTIONS,
    check: LabelCheck | None = None,
    unlabelled: list[Place] | None = None,
) -> Parts:
    """The parts in a table, or in a folder of tables named after them (`train.tsv.gz`, …).

    Args:
        path: of the table or the folder.
        text, label, second, columns, options, check, unlabelled: as for `read_table`.

    Raises:
        DataError: there is no table, or one of them cannot be read.
    """
    return {
        part: [
            row
            for table in tables
            for row in read_table(
                table,
                text,
                label,
                second,
                columns=columns,
                options=options,
                check=check,
                unlabelled=unlabelled,
            )
        ]
        for part, tables in part_tables(path).items()
    }


def load_hub_parts(
    path: str, config: str | None, text: str, task: str, second: str | None = None
) -> Parts:
    """The parts of a data set on the Hub whose labels are not kept secret."""
    splits = load_from_hub(path, config, task)
    columns = [text] if second is None else [text, second]
    # Of MNLI, the parts from the same kinds of text as its training sentences.
    split_names = {
        part: name for part in PARTS for name in (f"{part}_matched", part) if name in splits
    }
    parts = {part: _rows(splits[name], columns) for part, name in split_names.items()}
    return {
        part: rows for part, rows in parts.items() if any(label not in _SECRET for _, label in rows)
    }


def _rows(split: Any, columns: Sequence[str]) -> list[Example]:
    texts = zip(*(map(str, split[name]) for name in columns), strict=True)
    labels = list(split["label"])
    if None in labels:
        raise DataError(f"row {labels.index(None)} on the Hub has no 'label'")
    return [(join_sentences(*text), str(label)) for text, label in zip(texts, labels, strict=True)]


_SECRET = ("-1", "-1.0")
"""What stands in place of labels that are kept secret."""


def partition(parts: Parts, pairs: bool = False) -> Parts:
    """Training, validation and test from the parts there are, without a text in common.

    Parts of pairs that are taken as they are may share single sentences, as those of GLUE do.

    >>> rows = [(f"text {i}", str(i % 2)) for i in range(100)]
    >>> parts = partition({"train": rows, "test": [("text 7", "1"), ("new", "0")]})
    >>> {name: len(part) for name, part in parts.items()}
    {'train': 84, 'validation': 15, 'test': 2}

    Args:
        parts: those there are, by name.
        pairs: whether texts are pairs of sentences.
    """
    return without_equal_texts(three_parts(parts, pairs))


def three_parts(parts: Parts, pairs: bool = False) -> Parts:
    """As `partition`, with the texts that a later part has too."""
    present = {part: rows for part, rows in parts.items() if rows}
    test_parts = [part for part in ("validation", "test") if part in present]
    if len(test_parts) == 2 and "train" in present:
        return {part: present[part] for part in PARTS}
    if len(test_parts) == 1 and "train" in present:
        rows = present["train"]
        train, validation = _cut_between(rows, sentence_groups(rows)) if pairs else _cut(rows)
        return {"train": train, "validation": validation, "test": present[test_parts[0]]}
    rows = [row for part in present.values() for row in part]
    if pairs:
        return _split_by_hash(rows, sentence_groups(rows))
    texts = [text for text, _ in rows]
    return _split_by_hash(rows, shared_names(texts, list(map(text_key, texts))))


def split_words(parts: Parts) -> str:
    """The way in which `partition` divides parts, in words.

    >>> split_words({"all": [("a", "1")]})
    'by a hash of each text, so that equal texts are in one part'
    """
    present = [part for part in PARTS if parts.get(part)]
    if "train" in present and len(present) == 3:
        return "as the files have it"
    if "train" in present and len(present) == 2:
        other = "validation" if "validation" in present else "test"
        return f"the {other} file is the test; validation is cut from training"
    return "by a hash of each text, so that equal texts are in one part"


def _cut(rows: list[Example]) -> tuple[list[Example], list[Example]]:
    names = sorted({label for _, label in rows})
    order = {name: number for number, name in enumerate(names)}
    share = min(CUT / len(rows), 0.15)
    train, cut = stratify([order[label] for _, label in rows], (1 - share, share))
    return [rows[i] for i in train.tolist()], [rows[i] for i in cut.tolist()]


def _cut_between(rows: list[Example], names: Sequence[str]) -> tuple[list[Example], list[Example]]:
    """As `_cut`, but rows of one name stay together."""
    room = min(CUT, round(0.15 * len(rows)))
    sizes = Counter(names)
    validation_names: set[str] = set()
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if room >= sizes[name]:
            validation_names.add(name)
            room -= sizes[name]
    train = [row for row, name in zip(rows, names, strict=True) if name not in validation_names]
    return train, [row for row, name in zip(rows, names, strict=True) if name in validation_names]


def _split_by_hash(rows: list[Example], names: Sequence[str]) -> Parts:
    """Rows by a hash of the name of each: rows of one name stay together."""
    parts: Parts = {part: [] for part in PARTS}
    for row, name in zip(rows, names, strict=True):
        parts[part_of(name.encode())].append(row)
    return parts


def without_equal_texts(parts: Parts) -> Parts:
    """The parts without training and validation texts that are seen again in a later one."""
    test_texts = {text for text, _ in parts["test"]}
    validation = [row for row in parts["validation"] if row[0] not in test_texts]
    later_texts = test_texts | {text for text, _ in validation}
    train = [row for row in parts["train"] if row[0] not in later_texts]
    return {"train": train, "validation": validation, "test": parts["test"]}


def shared_names(names: Sequence[str], keys: Sequence[bytes]) -> list[str]:
    """The names, of those with one key the first by alphabet.

    >>> shared_names(["b", "a", "c"], [b"1", b"1", b"2"])
    ['a', 'a', 'c']
    """
    first: dict[bytes, str] = {}
    for name, key in zip(names, keys, strict=True):
        first[key] = min(name, first.get(key, name))
    return [first[key] for key in keys]


def sentence_groups(rows: Sequence[Example]) -> list[str]:
    """For each pair, a name that it has in common with all pairs that hang together with it.

    They hang together by a sentence, and as pairs that are equal once they are normalised.

    >>> sentence_groups([("a\\tb", "1"), ("c\\td", "0"), ("e\\tb", "0"), ("e\\tf", "1")])
    ['a', 'c', 'a', 'a']

    Args:
        rows: texts with `SEPARATOR` between their sentences, and labels.
    """
    parents: dict[str, str] = {}

    def first(sentence: str) -> str:
        while parents.setdefault(sentence, sentence) != sentence:
            parents[sentence] = parents[parents[sentence]]
            sentence = parents[sentence]
        return sentence

    pairs = [text.split(SEPARATOR) for text, _ in rows]
    equal: dict[bytes, str] = {}
    for pair in pairs:
        twin = equal.setdefault(text_key(*pair), pair[0])
        # The name is the first sentence by alphabet, so that it does not hang on the order of rows.
        root, *others = sorted(map(first, (*pair, twin)))
        for other in others:
            parents[other] = root
    return [first(pair[0]) for pair in pairs]
