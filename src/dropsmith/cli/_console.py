"""Consoles that commands print on: text is text there, whatever brackets and colons it holds."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


def console(*, stderr: bool = False) -> "Console":
    """A console on standard output or error that reads no markup, emoji or numbers in a text."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def progress_bar(on: "Console", *columns: "ProgressColumn | str") -> "Progress":
    """A bar on a terminal; nothing elsewhere.

    Args:
        on: where.
        columns: a column of rich, or the format of a text.
    """
    from rich.progress import Progress, TextColumn

    texts = (TextColumn(c, markup=False) if isinstance(c, str) else c for c in columns)
    return Progress(*texts, console=on, disable=not on.is_terminal)
