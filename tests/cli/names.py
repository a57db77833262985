"""Names that a terminal, or what writes to it, could take for more than names."""

NAMES = (
    "plain",
    "[red]",
    "[/]",
    "[/red]",
    "[link=http://example.org]x[/link]",
    "[[a]",
    "a\\[b",
    ":smile:",
    "{task.description}",
    "%s {0} {}",
    "<b>&amp;",
    "käse-日本",
)

UNPRINTABLE = "\udcff"
"""A byte of a file's name that is no text."""
