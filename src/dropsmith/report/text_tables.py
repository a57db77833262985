"""Grids in the terminal, and in Markdown between markers of a file."""

from pathlib import Path
from textwrap import wrap

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dropsmith.errors import DataError
from dropsmith.files import write_text
from dropsmith.report.cells import Cell, Grid

_COLOURS = {"better": "bold green", "worse": "bold red"}


def rich_table(grid: Grid) -> Group:
    """A grid as a table of `rich`; a difference whose interval leaves zero out is bold."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for index, head in enumerate(grid.heads):
        width = max((_width(row[index]) for row in grid.rows), default=1)
        # Wrapped here: rich would rather cut off the last column than a head.
        heading = "\n".join(wrap(head, max(width, 8), break_long_words=False)) or " "
        # Folded where a terminal is narrow still: words are broken, and none is lost.
        side = "right" if grid.numeric(index) else "left"
        table.add_column(heading, justify=side, overflow="fold")
    for row in grid.rows:
        table.add_row(*(_rich_cell(cell, index == 0) for index, cell in enumerate(row)))
    return Group(Text(), table, Text(f"\n{grid.caption}.", style="dim"))


def _width(cell: Cell) -> int:
    return max(map(len, [cell.text, *cell.detail.splitlines()]))


def _rich_cell(cell: Cell, first: bool) -> Text:
    style = _COLOURS.get(cell.verdict, "bold" if first else "")
    text = Text(cell.text, style=style)
    return text.append(f"\n{cell.detail}", style="not bold dim") if cell.detail else text


def markdown_table(grid: Grid) -> str:
    """A grid as a Markdown table with its caption below; clear differences are bold."""
    heads = "| " + " | ".join(grid.heads) + " |"
    sides = (" ---: " if grid.numeric(index) else " --- " for index in range(len(grid.heads)))
    rule = "|" + "|".join(sides)
    rows = ["| " + " | ".join(_markdown_cell(cell) for cell in row) + " |" for row in grid.rows]
    return "\n".join([heads, f"{rule}|", *rows, "", f"{grid.caption}."])


def _markdown_cell(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.verdict else cell.text
    return " ".join([text, *cell.detail.splitlines()]).strip().replace("|", "\\|")


def write_between(path: Path, name: str, text: str) -> None:
    """Put `text` between `<!-- name -->` and `<!-- /name -->` in a file.

    Raises:
        DataError: the file does not have the two markers, once each and in this order.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        old = path.read_text()
    except OSError as error:
        raise DataError(f"cannot read {path}\n  {error}") from None
    head, opening, rest = old.partition(start)
    _, closing, tail = rest.partition(end)
    if not opening or not closing or start in tail or end in tail:
        raise DataError(f"{path} needs the lines {start} and {end}, once each and in this order")
    write_text(path, f"{head}{start}\n{text}\n{end}{tail}")
