"""Counts of a package's source: files, functions, docstrings, names and imports."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks._words import needs_its_sentence

SMALL = 45
"""Lines of a file that may be too small to stand alone."""
QUESTIONS = frozenset(("What", "How", "Where", "Which", "Who", "Whether", "Why"))
DOOR = "__init__.py"

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a package.

    Args:
        path: where it is, relative to the folder that holds the package.
        lines: how many it has.
        tree: its syntax.
    """

    path: Path
    lines: int
    tree: ast.Module

    @property
    def room(self) -> str:
        """The part of the package that it belongs to; a file of the package itself is one."""
        parts = self.path.parts
        return f"{parts[0]}.{parts[1].removesuffix('.py')}"


def files_of(package: Path) -> list[File]:
    """Every file of the package in a folder, in order."""
    files = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text()
        relative = path.relative_to(package.parent)
        lines = len(text.splitlines())
        files.append(File(path=relative, lines=lines, tree=ast.parse(text)))
    return files


def file_sizes(files: Sequence[File]) -> dict[str, float]:
    """How many files there are, their median lines, and how many of them are small.

    A package's `__init__.py` is a door to what stands behind it, with no reason to be long: it is
    counted among all files, and the median and the small ones are of the others.
    """
    lines = [file.lines for file in files if file.path.name != DOOR]
    small = sum(count <= SMALL for count in lines)
    return {"all": len(files), "no_doors": len(lines), "median": median(lines), "small": small}


def function_lengths(files: Sequence[File]) -> list[int]:
    """Lines of every function, nested ones and methods too, from `def` to its end.

    Decorators and the docstring are left out; comments and blank lines count.
    """
    return [
        _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) is not None else 0)
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, FUNCTIONS)
    ]


def docstrings(files: Sequence[File]) -> list[str]:
    """The docstrings of modules, classes and functions."""
    places = (ast.Module, ast.ClassDef, *FUNCTIONS)
    nodes = (node for file in files for node in ast.walk(file.tree) if isinstance(node, places))
    return [text for node in nodes if (text := ast.get_docstring(node))]


def opens_with_question(docstring: str) -> bool:
    """Whether a docstring begins with a question word.

    >>> opens_with_question("What is dropped."), opens_with_question("A pattern drops.")
    (True, False)
    """
    return docstring.split()[0].strip("`*,.:;?") in QUESTIONS


def names_of(files: Sequence[File]) -> list[str]:
    """The names that a package defines, each once in every scope that defines it.

    Functions, classes, parameters, variables, the fields of classes and what is stored on `self`.
    `self`, `cls`, `_` and names between two underscores are not chosen by anybody.
    """
    return [name for file in files for name in _in_scope(file.tree) if not _is_prescribed(name)]


def sentence_names(names: Sequence[str]) -> Counter[str]:
    """How often each name is defined that is a pronoun or a participle."""
    return Counter(name for name in names if needs_its_sentence(name))


def imports_between_rooms(files: Sequence[File], package: str) -> list[tuple[str, bool]]:
    """Names that come from another room of a package, each with whether it comes past the door.

    `from dropsmith.ROOM import x` uses the door of a room, `from dropsmith.ROOM.module import x`
    does not. A package beside it is a room of its own.
    """
    rooms = {file.room for file in files}
    return [
        (f"{node.module}.{alias.name}", len(parts) > 2)
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ImportFrom) and not node.level
        if (parts := (node.module or "").split("."))[0] == package and len(parts) > 1
        if (room := ".".join(parts[:2])) != file.room and room in rooms
        for alias in node.names
    ]


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _is_prescribed(name: str) -> bool:
    return not name.strip("_") or name in ("self", "cls") or name[:2] == name[-2:] == "__"


def _in_scope(scope: ast.AST) -> Iterator[str]:
    """The names that one scope defines, once each, and then those of the scopes inside it."""
    names: dict[str, None] = {}
    inner: list[ast.AST] = []
    if isinstance(scope, (*FUNCTIONS, ast.Lambda)):
        names |= dict.fromkeys(
            node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)
        )
    waiting = _body(scope)
    while waiting:
        node = waiting.pop()
        if isinstance(node, SCOPES):
            inner.append(node)
            waiting += getattr(node, "decorator_list", [])
        else:
            waiting += ast.iter_child_nodes(node)
        names |= dict.fromkeys(_defined(node))
    yield from names
    for node in inner:
        yield from _in_scope(node)


def _body(scope: ast.AST) -> list[ast.AST]:
    body = getattr(scope, "body", [])
    return list(body) if isinstance(body, list) else [body]


def _defined(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
            yield node.attr
        case ast.ExceptHandler(name=str(name)):
            yield name
