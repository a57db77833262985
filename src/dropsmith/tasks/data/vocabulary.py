"""Texts as numbers: words, and a vocabulary that knows the training texts only."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

PAD, UNKNOWN_WORD = "<pad>", "<unk>"

_WORD = re.compile(r"\w+(?:['’-]\w+)*|([^\w\s])\1*")


def tokenise(text: str) -> list[str]:
    """The words and signs of a text in lower case; a sign that is repeated is one.

    >>> tokenise("It's a 'B-movie', isn't it?")
    ["it's", 'a', "'", 'b-movie', "'", ',', "isn't", 'it', '?']
    >>> tokenise("well ... --- !?")
    ['well', '...', '---', '!', '?']
    """
    return [match.group() for match in _WORD.finditer(text.lower())]


@dataclass(frozen=True)
class Vocabulary:
    """Words by number; a word that is not in it has the number of `<unk>`.

    >>> vocabulary = Vocabulary.of([["a", "b", "a"]], special=(PAD, UNKNOWN_WORD))
    >>> vocabulary.words, vocabulary.ids(["b", "z"])
    (('<pad>', '<unk>', 'a', 'b'), [3, 1])

    Args:
        words: in order, `<unk>` among them.
    """

    words: tuple[str, ...]

    @classmethod
    def of(
        cls,
        texts: Iterable[Sequence[str]],
        *,
        special: tuple[str, ...],
        max_size: int | None = None,
        min_count: int = 1,
    ) -> "Vocabulary":
        """The words of some texts, the commonest first, after the special ones.

        Args:
            texts: words of each.
            special: what stands first, such as `<unk>`.
            max_size: how many words to have at most, the special ones included.
            min_count: how often a word must occur.
        """
        counts = Counter(word for text in texts for word in text)
        by_frequency = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        words = [word for word, count in by_frequency if count >= min_count and word not in special]
        return cls((*special, *words)[:max_size])

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, words: Iterable[str]) -> list[int]:
        """The number of each word."""
        unknown_id = self._number[UNKNOWN_WORD]
        return [self._number.get(word, unknown_id) for word in words]

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}
