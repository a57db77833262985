"""The comparison in the terminal."""

from textwrap import wrap

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dropsmith.report.cells import Cell, Grid

_COLOURS = {"better": "bold green", "worse": "bold red"}


def rich_table(grid: Grid) -> Group:
    """A grid as a table of `rich`; a difference whose interval leaves zero out is bold."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for index, head in enumerate(grid.heads):
        width = max((_width(row[index]) for row in grid.rows), default=1)
        # Wrapped here: rich would rather cut off the last column than a head.
        wrapped = "\n".join(wrap(head, max(width, 8), break_long_words=False)) or " "
        # Folded where a terminal is narrow still: words are broken, and none is lost.
        side = "right" if grid.numeric(index) else "left"
        table.add_column(wrapped, justify=side, overflow="fold")
    for row in grid.rows:
        table.add_row(*(_shown(cell, index == 0) for index, cell in enumerate(row)))
    return Group(Text(), table, Text(f"\n{grid.caption}.", style="dim"))


def _width(cell: Cell) -> int:
    return max(map(len, [cell.text, *cell.detail.splitlines()]))


def _shown(cell: Cell, first: bool) -> Text:
    style = _COLOURS.get(cell.verdict, "bold" if first else "")
    text = Text(cell.text, style=style)
    return text.append(f"\n{cell.detail}", style="not bold dim") if cell.detail else text
