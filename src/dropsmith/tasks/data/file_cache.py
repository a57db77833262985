"""A cache of what was read from files, in which a file that has changed is read anew."""

import os
from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def cached_by_files(size: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep the last results of a function, as long as files at its paths stay as they are.

    A file is the same while its size, its time and its place on the disk are; a folder while all
    files in it are. `cache_clear` forgets all results.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> @cached_by_files(1)
    ... def size_of(path):
    ...     print("reads")
    ...     return path.stat().st_size
    >>> _ = path.write_text("one")
    >>> size_of(path), size_of(path)
    reads
    (3, 3)
    >>> _ = path.write_text("two and more")
    >>> size_of(path)
    reads
    12

    Args:
        size: the number of results that are kept.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @lru_cache(maxsize=size)
        def read(states: Hashable, args: Any, kwargs: Any) -> R:
            return function(*args, **dict(kwargs))

        @wraps(function)
        def cached(*args: P.args, **kwargs: P.kwargs) -> R:
            values = (*args, *kwargs.values())
            states = tuple(stamps(value) for value in values if _is_place(value))
            return read(states, args, tuple(kwargs.items()))

        cast(Any, cached).cache_clear = read.cache_clear
        return cached

    return decorate


def _is_place(value: object) -> bool:
    # A pretrained model is called by a text, which may be the path of its folder.
    return isinstance(value, Path) or (isinstance(value, str) and os.path.isdir(value))


def stamps(place: Any) -> Hashable:
    """The state of the file, or of all files in the folder, at a place: equal while it is."""
    return tuple(_walk(os.fspath(place), follow=True))


def _walk(path: str, follow: bool = False) -> Iterator[tuple[object, ...]]:
    try:
        if os.path.isdir(path) and (follow or not os.path.islink(path)):
            with os.scandir(path) as entries:
                for name in sorted(entry.path for entry in entries):
                    yield from _walk(name)
        else:
            found = os.stat(path)
            yield path, found.st_size, found.st_mtime_ns, found.st_ino
    except OSError as error:  # whoever reads it says so
        yield path, error.errno
