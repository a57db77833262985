"""Fence the examples of docstrings, so that the site shows them as code.

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


class FenceDoctests(Extension):
    """Every docstring of the package, with fences."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
