"""Texts as pieces of words, learnt from the training texts alone, and back without a loss."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dropsmith.errors import MissingExtra

SPECIAL = ("<pad>", "<s>", "</s>")
"""The first tokens, which are the numbers 0, 1 and 2 of `models.small_seq2seq`."""


@dataclass(frozen=True)
class Subwords:
    """Byte-pair encoding of bytes (Sennrich et al., 2016): no text has an unknown piece.

    >>> known = Subwords.learn(["a house", "a mouse", "the house"] * 9, size=300)
    >>> known.text(known.numbers(["a mouse in the house"])[0])
    'a mouse in the house'

    Args:
        tokens: the pieces by their number.
        tokenizer: the tokeniser of the library.
    """

    tokens: tuple[str, ...]
    tokenizer: Any

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> "Subwords":
        """At most `size` pieces, learnt from these texts.

        Raises:
            MissingExtra: tokenizers is not installed.
        """
        library = _tokenizers()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        tokenizer.encode_special_tokens = True  # a text that holds "</s>" holds just that
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        return cls(tuple(token for token, _ in vocabulary), tokenizer)

    def numbers(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of the pieces of each text."""
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def text(self, numbers: Iterable[int]) -> str:
        """The text of some pieces."""
        return text_of(self.tokens, numbers)


def text_of(tokens: Sequence[str], numbers: Iterable[int]) -> str:
    """The text of some pieces by number; special ones are left out.

    Args:
        tokens: the pieces of a `Subwords`.
        numbers: which of them, in order.
    """
    pieces = [tokens[number] for number in numbers if number >= len(SPECIAL)]
    return _tokenizers().decoders.ByteLevel().decode(pieces).strip()


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingExtra("pieces of words", "tokenizers", "transformers") from None
    return tokenizers
