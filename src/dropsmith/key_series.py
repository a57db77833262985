"""The keys of numbers that follow one another, and what is made of their bits, several at a time.

A site draws once a step, by a key that differs from the last in the number of the step alone. On
small tensors the calls of Python and NumPy that fold a key and mix its bits cost more than the
arithmetic, and one call does it for many steps as well.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dropsmith.keys import Key, Make, Words, draw_in_place, fold_in_place

LENGTH = 64
"""Keys that are made at once."""

MOST_WORDS = 1 << 16
"""Random words that are drawn ahead for a series, at most."""

_END = 1 << 32


class KeySeries:
    """The keys `base.fold(number)` of numbers of 32 bits, made several at a time.

    >>> base = Key.of(7)
    >>> KeySeries(base).key(3) == base.fold(3)
    True

    Args:
        base: the key into which the numbers are folded. Its bits are integers, and it has no
            strata.
    """

    def __init__(self, base: Key) -> None:
        self.base = base
        # Each is read and replaced whole, since threads that evaluate a model may share a series.
        self._keys: tuple[int, list[tuple[int, int]]] = (0, [])
        self._rows: tuple[int, int, Make | None, Sequence[Any]] = (0, 0, None, ())
        self._last: tuple[int, int, Make | None] = (-2, 0, None)

    def key(self, number: int) -> Key:
        """`base.fold(number)`, which knows this series."""
        start, keys = self._keys
        if not start <= number < start + len(keys):
            if not 0 <= number <= _END - LENGTH:
                return self.base.fold(number)
            first, second = self._fold(number, LENGTH)
            start, keys = number, list(zip(first.tolist(), second.tolist(), strict=True))
            self._keys = start, keys
        return Key(*keys[number - start], None, (self, number))

    def ahead(self, number: int, count: int, make: Make) -> Any | None:
        """Return what is made of the words that the key of a number draws, or None.

        Rows are made ahead where a series is asked for the same of one number after the other,
        and where they are few enough to hold.

        Args:
            number: as for `key`.
            count: how many words.
            make: the same function, not an equal one, from one number to the next.

        Returns:
            A row of what `make` returns, not to be written to; None where nothing was made ahead.
        """
        last, self._last = self._last, (number, count, make)
        start, held_count, held_make, rows = self._rows
        is_same = held_count == count and held_make is make
        if is_same and start <= number < start + len(rows):
            return rows[number - start]
        length = min(LENGTH, MOST_WORDS // max(count, 1), _END - number)
        follows = last[0] == number - 1 and last[1] == count and last[2] is make
        if not follows or length < 2:
            self._rows = 0, 0, None, ()
            return None
        rows = make(self._draw(number, length, count))
        self._rows = number, count, make, rows
        return rows[0]

    def _draw(self, start: int, length: int, count: int) -> Words:
        """The words of some numbers from `start` on, one row for each."""
        first, second = (part[:, None] for part in self._fold(start, length))
        words = np.tile(np.arange(count, dtype=np.uint32), (length, 1))
        draw_in_place(words, np.empty_like(words), first, second)
        return words

    def _fold(self, start: int, length: int) -> tuple[Words, Words]:
        """The bits of the keys of some numbers from `start` on."""
        numbers = np.arange(start, start + length, dtype=np.uint32)
        return fold_in_place(*self.base.numbers, numbers)

    def __reduce__(self) -> tuple[Any, ...]:
        return KeySeries, (self.base,)


def made_ahead(key: Key, count: int, make: Make) -> Any | None:
    """Return what is made of the words of a key, where its series has made it ahead, or None.

    Args:
        key: any key.
        count: how many words there are, at the indices from 0.
        make: see `KeySeries.ahead`.

    Returns:
        A row of what `make` returns, not to be written to.
    """
    if key.series is None or key.strata is not None:
        return None
    series, number = key.series
    return series.ahead(number, count, make)
