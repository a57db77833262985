"""Pillow's own bound of pixels, lifted while pictures are read within bounds of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


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
