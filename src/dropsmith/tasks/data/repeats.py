"""Examples that stand in more than one part of the data: counted, and left out of one of them."""

import hashlib
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal
from unicodedata import normalize

from dropsmith.errors import DataError
from dropsmith.tasks.data.selection import PARTS

DropRepeats = Literal["train", "test"]
"""`train`: an example stays in the last part that has it. `test`: in the first."""

Keys = Mapping[str, Sequence[Hashable]]
"""For each part, a key of each example, equal where inputs count as equal."""

_WORDS = {"train": "training", "validation": "validation", "test": "test"}

_MARKS = {
    "-lrb-": "(",
    "-rrb-": ")",
    "-lsb-": "[",
    "-rsb-": "]",
    "-lcb-": "{",
    "-rcb-": "}",
    "''": '"',
    "\\/": "/",
    "\\*": "*",
    "n't": " n't",
}
"""What tokenisers write in place of signs; and what they part a word before."""

_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014`", "''\"\"--'")
_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")


def normalise(text: str) -> str:
    """The words and signs of a text without case and marks of tokenisation, with single spaces.

    Texts that differ in these alone are equal: "do n't" and "don't", "-LRB-" and "(", quotation
    marks of any form, and spaces at signs.

    >>> normalise("It 's over , -LRB- he says -RRB- .") == normalise("It's over,(he says).")
    True
    >>> normalise("They don't `` know ''.")
    'they do n \\' t " know " .'
    """
    plain = text.translate(_QUOTES)
    plain = (plain if plain.isascii() else normalize("NFKC", plain)).casefold()
    for mark, sign in _MARKS.items():
        if mark in plain:
            plain = plain.replace(mark, sign)
    return " ".join(_WORD_OR_SIGN.findall(plain))


def text_key(*texts: str) -> bytes:
    """A key of one or several texts, equal where all of them are once they are normalised.

    >>> text_key("A film.") == text_key("a  film ."), text_key("a", "b") == text_key("a b")
    (True, False)
    """
    parts = (normalise(text).encode(errors="surrogatepass") for text in texts)
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def rows_to_keep(keys: Keys, drop: DropRepeats, what: str) -> dict[str, list[int]]:
    """The rows of each part that stay where each example is to stand in one part alone.

    >>> rows_to_keep({"train": "ab", "validation": "bc", "test": "cd"}, "train", "text")
    {'train': [0], 'validation': [0], 'test': [0, 1]}
    >>> rows_to_keep({"train": "ab", "validation": "bc", "test": "cd"}, "test", "text")
    {'train': [0, 1], 'validation': [1], 'test': [1]}

    Args:
        keys: of the examples.
        drop: the side that they are left out of.
        what: an example is called, in messages.

    Raises:
        DataError: nothing is left of a part.
    """
    known = {part: set(keys[part]) for part in PARTS}
    others: dict[str, set[Hashable]] = {
        "train": known["validation"] | known["test"] if drop == "train" else set(),
        "validation": known["test" if drop == "train" else "train"],
        "test": set() if drop == "train" else known["train"] | known["validation"],
    }
    rows = {
        part: [row for row, key in enumerate(keys[part]) if key not in others[part]]
        for part in PARTS
    }
    if empty := [part for part in PARTS if keys[part] and not rows[part]]:
        side = "a later" if drop == "train" else "an earlier"
        other, parts = ("test", "validation and test") if drop == "train" else ("train", "training")
        raise DataError(
            f"every {_WORDS[empty[0]]} {what} is in {side} part too, and none is left\n"
            f"  name other data, or leave them out of {parts}: --drop-repeats {other}"
        )
    return rows


def count_repeats(keys: Keys) -> dict[tuple[str, str], int]:
    """For each part and each before it, how many examples of the part are in that one too.

    >>> count_repeats({"train": "aab", "validation": "b", "test": "axa"})
    {('validation', 'train'): 1, ('test', 'train'): 2, ('test', 'validation'): 0}
    """
    known = {part: set(keys[part]) for part in PARTS[:2]}
    return {
        (part, earlier): sum(key in known[earlier] for key in keys[part])
        for part, earlier in (
            ("validation", "train"),
            ("test", "train"),
            ("test", "validation"),
        )
    }


def repeats_note(
    keys: Keys,
    what: str,
    *,
    left_out: Mapping[str, int] | None = None,
    drop: DropRepeats | None = None,
    shared: Sequence[str] = (),
) -> tuple[tuple[str, str], ...]:
    """The line that says which examples stand in more than one part; none where none do.

    >>> keys = {"train": ["a", "b"], "validation": ["b"], "test": ["a", "c", "a"]}
    >>> print(repeats_note(keys, "row")[0][1])
    1 of 1 validation row and 2 of 3 test rows are in training too, and are kept; --drop-repeats \
train or test leaves them out
    >>> print(repeats_note({**keys, "train": "z"}, "text", left_out={"train": 2})[0][1])
    2 training texts are in a later part too, and are left out

    Args:
        keys: of the examples in use.
        what: an example is called.
        left_out: how many examples of each part were left out.
        drop: the side that they were left out of; `train` where None.
        shared: what else the parts share.
    """
    said = [*_left_out_words(left_out or {}, what, drop), *_kept_words(keys, what), *shared]
    return (("repeated", "; ".join(said)),) if said else ()


def _left_out_words(left_out: Mapping[str, int], what: str, drop: DropRepeats | None) -> list[str]:
    counts = {part: left_out.get(part, 0) for part in PARTS}
    said = [f"{n:,} {_WORDS[part]} {_plural(what, n)}" for part, n in counts.items() if n]
    if not said:
        return []
    verb = "is" if sum(counts.values()) == 1 else "are"
    side = "an earlier" if drop == "test" else "a later"
    return [f"{' and '.join(said)} {verb} in {side} part too, and {verb} left out"]


def _kept_words(keys: Keys, what: str) -> list[str]:
    counts = {pair: count for pair, count in count_repeats(keys).items() if count}
    clauses = []
    for earlier in PARTS[:2]:
        found = {part: count for (part, other), count in counts.items() if other == earlier}
        if found:
            said = [
                f"{count:,} of {len(keys[part]):,} {part} {_plural(what, len(keys[part]))}"
                for part, count in found.items()
            ]
            verb = "is" if sum(found.values()) == 1 else "are"
            clauses.append(f"{' and '.join(said)} {verb} in {_WORDS[earlier]} too")
    if not clauses:
        return []
    verb, them = ("is", "it") if sum(counts.values()) == 1 else ("are", "them")
    return [
        f"{', '.join(clauses)}, and {verb} kept",
        f"--drop-repeats train or test leaves {them} out",
    ]


def conflicts_note(
    keys: Keys, labels: Mapping[str, Sequence[float]], what: str
) -> tuple[tuple[str, str], ...]:
    """The line that says how many inputs stand in the data with different labels, where some do.

    >>> labels = {"train": [0, 1, 1], "validation": [0], "test": [1]}
    >>> conflicts_note({"train": "aab", "validation": "b", "test": "c"}, labels, "text")
    (('conflicts', '2 texts are there with more than one label'),)

    Args:
        keys: of the examples in use.
        labels: a number for each of them.
        what: an example is called.
    """
    first: dict[Hashable, float] = {}
    conflicts = {
        key
        for part in PARTS
        for key, label in zip(keys[part], labels[part], strict=True)
        if first.setdefault(key, label) != label
    }
    if not conflicts:
        return ()
    verb = "is" if len(conflicts) == 1 else "are"
    words = f"{len(conflicts):,} {_plural(what, len(conflicts))} {verb} there"
    return (("conflicts", f"{words} with more than one label"),)


def _plural(what: str, count: int) -> str:
    return what if count == 1 else f"{what}s"
