"""The hash of the user's own source code: what a run is made of beside data and settings.

Libraries are no part of it, as a record holds their versions.
"""

import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType

_THIS_LIBRARY = Path(__file__).resolve().parents[1]


def source_hash(names: Iterable[str]) -> str | None:
    """The hash of modules by their names and of those that they use; None where all are installed.

    Args:
        names: of modules that have been imported; others are left out.
    """
    sources = sorted(user_sources(names))
    if not sources:
        return None
    digest = hashlib.sha256()
    for name, source in sources:
        digest.update(f"{name}\n{source}\n".encode())
    return digest.hexdigest()


def is_user_module(name: str) -> bool:
    """True if an imported module lies in a file that is not installed."""
    path = getattr(sys.modules.get(name), "__file__", None)
    return path is not None and not is_installed(path)


def is_installed(path: str) -> bool:
    """True if a file is of Python, of an installed package or of this library."""
    place = Path(path).resolve()
    return any(place.is_relative_to(folder) for folder in _library_folders())


def user_sources(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The names and sources of modules that are not installed, and of those that they use."""
    todo, seen = [sys.modules[name] for name in sorted(set(names)) if name in sys.modules], set()
    while todo:
        module = todo.pop()
        path = getattr(module, "__file__", None)
        if path is None or path in seen or is_installed(path):
            continue
        seen.add(path)
        name = module.__name__
        yield "__main__" if name == "__mp_main__" else name, Path(path).read_text(errors="replace")
        todo += _used(module)


def _used(module: ModuleType) -> list[ModuleType]:
    """The modules that are among the globals of a module, or made what is."""
    names = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        for value in list(vars(module).values())
    }
    return [sys.modules[name] for name in names if isinstance(name, str) and name in sys.modules]


@lru_cache(maxsize=1)
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    return (*(Path(folder).resolve() for folder in folders), _THIS_LIBRARY)
