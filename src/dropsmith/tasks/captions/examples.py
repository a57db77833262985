"""Pictures with captions before they are numbers, and the words of captions."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.models import show_and_tell
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.images.picture_size import Size

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
"""The first tokens, which are the numbers 0 to 3 of `models.show_and_tell`."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True)
class Captioned:
    """A picture by its name, and its captions as texts of words: lower case, no punctuation."""

    name: str
    captions: tuple[str, ...]


PicturesOf = Callable[[Sequence[str], Size], Tensor]
"""Takes names of pictures, and height and width; returns them as bytes `[count, 3, height, width]`.
"""


@dataclass(frozen=True, kw_only=True)
class CaptionedPictures:
    """Pictures with captions by part.

    Args:
        parts: of train, validation and test.
        pictures: reads pictures.
        source: where they come from, in words for the report.
        notes: what was found in the data, each with a word for what it is about.
    """

    parts: Mapping[str, Sequence[Captioned]]
    pictures: PicturesOf
    source: str
    notes: tuple[tuple[str, str], ...] = ()


Reader = Callable[[Path | None, Bounds], CaptionedPictures]
"""Takes the `data` of `Task.load`, and the task's bounds."""


def words_of(caption: str) -> list[str]:
    """The words of a caption, in lower case and without punctuation.

    >>> words_of("A man's dog , 2 years old .")
    ['a', "man's", 'dog', '2', 'years', 'old']
    """
    return _WORD.findall(caption.lower())


class Collected:
    """Captions as they are read, by picture; what is empty or there twice is counted and left out.

    >>> captions = Collected()
    >>> for text in ("A dog .", "a dog", " . "):
    ...     captions.add("train", "a.png", text)
    >>> captions.parts["train"], captions.notes
    ((Captioned(name='a.png', captions=('a dog',)),), (('captions', '1 empty and 1 repeated left out'),))
    """  # noqa: E501

    def __init__(self) -> None:
        self._captions: dict[str, dict[str, list[str]]] = {part: {} for part in PARTS}
        self._empty = self._repeated = 0

    def add(self, part: str, name: str, caption: str) -> None:
        """Take a caption of a picture."""
        text, captions = " ".join(words_of(caption)), self._captions[part].setdefault(name, [])
        if not text:
            self._empty += 1
        elif text in captions:
            self._repeated += 1
        else:
            captions.append(text)

    @property
    def parts(self) -> dict[str, tuple[Captioned, ...]]:
        """The pictures that have a caption, in the order they came."""
        return {
            part: tuple(Captioned(name, tuple(texts)) for name, texts in of_part.items() if texts)
            for part, of_part in self._captions.items()
        }

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """How many captions were left out; nothing where none was."""
        if not self._empty and not self._repeated:
            return ()
        return (("captions", f"{self._empty} empty and {self._repeated} repeated left out"),)


def check_captioned(parts: Mapping[str, Sequence[Captioned]], source: str) -> None:
    """Raise `DataError` unless each part has a picture with a caption."""
    if missing := [part for part in PARTS if not parts[part]]:
        sizes = ", ".join(f"{part} {len(parts[part])}" for part in PARTS)
        raise DataError(
            f"no picture with a caption for {missing[0]} in {source} ({sizes})\n"
            "  add pictures, or name their parts in a column split: train, validation, test"
        )


def vocabulary_of(captions: Iterable[str], least: int) -> tuple[str, ...]:
    """The words that occur at least so often, after the special ones; the commonest come first.

    >>> vocabulary_of(["a dog", "a cat", "the dog"], least=2)
    ('<pad>', '<s>', '</s>', '<unk>', 'a', 'dog')
    """
    counts = Counter(word for caption in captions for word in caption.split())
    kept = [(-count, word) for word, count in counts.items() if count >= least]
    return (*SPECIAL, *(word for _, word in sorted(kept)))


def numbers_of(caption: str, numbers: Mapping[str, int]) -> list[int]:
    """The numbers of the words of a caption."""
    return [numbers.get(word, show_and_tell.UNKNOWN) for word in caption.split()]


def caption_of(words: Sequence[str], numbers: Iterable[int]) -> str:
    """The caption of some numbers; special ones are left out."""
    return " ".join(words[number] for number in numbers if number >= len(SPECIAL))
