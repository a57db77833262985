"""Docstrings as the site shows them: examples are code, and each argument has its own row.

An extension of griffe, which reads the docstrings; `mkdocs.yml` names it.
"""

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"(?:^>>> .*(?:\n(?!\s*$).*)*(?:\n\n?(?=>>> ))?)+", re.MULTILINE)


def fenced(text: str) -> str:
    """A docstring with a fence around every run of examples.

    >>> fenced("Add.\\n\\n>>> 1 + 1\\n2\\n\\nArgs:\\n    x: a number.")
    'Add.\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```\\n\\nArgs:\\n    x: a number.'

    Args:
        text: the docstring.
    """
    return DOCTEST.sub(lambda found: f"```pycon\n{found.group(0)}\n```", text)


SHARED = re.compile(r"^( +)(\w+(?:, \w+)+): (.*(?:\n\1 +.*)*)", re.MULTILINE)


def separated(text: str) -> str:
    """A docstring in which arguments that share a description have it each.

    >>> separated("Args:\\n    x, y: numbers,\\n        both finite.")
    'Args:\\n    x: numbers,\\n        both finite.\\n    y: numbers,\\n        both finite.'

    Args:
        text: the docstring.
    """
    before, heading, after = text.partition("Args:\n")
    entries, blank, rest = after.partition("\n\n")
    return before + heading + SHARED.sub(_each, entries) + blank + rest


def _each(entry: re.Match[str]) -> str:
    margin, names, about = entry.groups()
    return "\n".join(f"{margin}{name}: {about}" for name in names.split(", "))


class FenceDoctests(Extension):
    """Every docstring of the package, with fences and an entry for each argument."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = separated(fenced(obj.docstring.value))
