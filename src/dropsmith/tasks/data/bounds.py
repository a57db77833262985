"""The most that data may hold before it is read, so that no file fills the memory by surprise."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from threading import Lock

from dropsmith.errors import DataError, TaskError
from dropsmith.numbers import check_whole

_MOST = 2**63 - 1

_UNITS = {
    "rows": "rows",
    "bytes": "bytes",
    "row_bytes": "bytes",
    "pixels": "pixels",
    "picture_bytes": "bytes of pixels",
}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that one file or one set of examples may hold; what holds more is not read.

    They are no part of what a run is: the same examples under other bounds are the same examples.

    >>> print(Bounds(rows=10).excess("rows", "reviews.csv"))
    reviews.csv holds more than 10 rows, which is the bound
      if that is what it should hold: --bound rows=20, or Bounds(rows=20)

    Args:
        rows: rows of a table, or lines of a text.
        bytes: bytes of a table or a text, after a compressed one is expanded.
        row_bytes: bytes of one row of a table.
        pixels: pixels of a picture, before it is made smaller.
        picture_bytes: bytes of all pictures that a task keeps in memory, after they are made
            smaller.

    Raises:
        TaskError: one is no whole number from 1.
    """

    rows: int = 20_000_000
    bytes: int = 2 * 2**30
    row_bytes: int = 2**24
    pixels: int = 100_000_000
    picture_bytes: int = 16 * 2**30

    def __post_init__(self) -> None:
        for field in fields(self):
            check_whole(f"the bound {field.name}", getattr(self, field.name), 1, TaskError, _MOST)

    def excess(self, name: str, what: str) -> DataError:
        """The error to raise where there is more than a bound.

        Args:
            name: of the bound.
            what: that holds more, such as `reviews.csv`.
        """
        bound = getattr(self, name)
        return DataError(
            f"{what} holds more than {bound:,} {_UNITS[name]}, which is the bound\n"
            f"  if that is what it should hold: --bound {name}={2 * bound}, "
            f"or Bounds({name}={2 * bound})"
        )


USUAL = Bounds()
"""The bounds where none are named."""


class PillowBound:
    """Pillow has one bound for all threads, and warns; so those that lift it are counted."""

    def __init__(self) -> None:
        self._lock, self._readers, self._usual = Lock(), 0, None

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """No bound in the `with` block; what it was before once all threads have left theirs."""
        from PIL import Image

        with self._lock:
            if self._readers == 0:
                self._usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if self._readers == 0:
                    Image.MAX_IMAGE_PIXELS = self._usual


PILLOW_BOUND = PillowBound()
