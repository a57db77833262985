"""A module whose import is seen, however it comes about: what a file names must never be loaded."""

import builtins
import importlib
import importlib.util
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAME = "dropsmith_canary"
"""Stands in hostile files wherever the name of a module, class or function might be looked up."""

NAMES = (NAME, f"{NAME}:call", f"{NAME}.call", f"{NAME}.Class")
"""The same in the forms in which libraries write what is to be loaded."""

PICKLE = b"\x80\x04c" + f"{NAME}\ncall\n".encode() + b")R."
"""A pickle that imports the module and calls its function as it is read."""


@dataclass
class Canary:
    """What was seen of the module.

    Args:
        traces: how it was asked for, such as `import` or `find`.
        marks: the folder where the module, imported by any process, leaves a file.
    """

    marks: Path
    traces: list[str] = field(default_factory=list)

    @property
    def seen(self) -> list[str]:
        """Every trace; empty if nobody asked for the module."""
        return [*self.traces, *(path.name for path in sorted(self.marks.iterdir()))]


@contextmanager
def watched_imports(folder: Path) -> Iterator[Canary]:
    """Let the module be found on `sys.path`, here and in child processes, and see who looks for it.

    Args:
        folder: an empty one, to hold it.
    """
    package, marks = folder / "canary_path", folder / "canary_marks"
    package.mkdir()
    marks.mkdir()
    (package / f"{NAME}.py").write_text(source(marks))
    canary = Canary(marks)
    finder = _Finder(canary.traces)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(package))
        patch.setenv("PYTHONPATH", f"{package}:{':'.join(filter(None, sys.path))}")
        patch.setattr(sys, "meta_path", [finder, *sys.meta_path])
        for place, function in (
            (builtins, "__import__"),
            (importlib, "import_module"),
            (importlib.util, "find_spec"),
        ):
            patch.setattr(place, function, _watched(getattr(place, function), canary.traces))
        try:
            yield canary
        finally:
            sys.modules.pop(NAME, None)


def source(marks: Path) -> str:
    """The text of the module, which leaves a file in `marks` as it is imported or called."""
    return _SOURCE.format(marks=str(marks))


def assert_wakes(canary: Canary) -> None:
    """Show that the watcher sees a pickle, an import by name and a plain one."""
    before = len(canary.seen)
    pickle.loads(PICKLE)
    assert len(canary.seen) > before
    sys.modules.pop(NAME)
    middle = len(canary.traces)
    importlib.import_module(NAME)
    assert len(canary.traces) > middle


class _Finder:
    """Sees what any kind of import looks for, and leaves the finding to others."""

    def __init__(self, traces: list[str]) -> None:
        self._traces = traces

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        if NAME in name.split("."):
            self._traces.append(f"find {name}")


def _watched(function: Any, traces: list[str]) -> Any:
    def call_and_note(name: Any, *args: Any, **keywords: Any) -> Any:
        if isinstance(name, str) and NAME in name.split("."):
            traces.append(f"{function.__name__} {name}")
        return function(name, *args, **keywords)

    return call_and_note


_SOURCE = """
import os, pathlib
pathlib.Path({marks!r}, f"imported by {{os.getpid()}}").touch()

class Class:
    def __init__(self, *args, **keywords):
        pathlib.Path({marks!r}, f"made by {{os.getpid()}}").touch()

def call(*args, **keywords):
    pathlib.Path({marks!r}, f"called by {{os.getpid()}}").touch()
"""
