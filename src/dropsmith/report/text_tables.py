"""Grids in the terminal, and in Markdown between markers of a file."""

import re
from pathlib import Path
from textwrap import wrap

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dropsmith.errors import DataError, excerpt, printable
from dropsmith.files import write_text
from dropsmith.report.cells import Cell, Grid
from dropsmith.report.html import check_regular

_COLOURS = {"better": "bold green", "worse": "bold red"}


def rich_table(grid: Grid) -> Group:
    """A grid as a table of `rich`; a significant difference is bold and coloured."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for index, head in enumerate(grid.heads):
        width = max((_width(row[index]) for row in grid.rows), default=1)
        # Wrapped here: rich would rather cut off the last column than a head.
        heading = "\n".join(wrap(printable(head), max(width, 8), break_long_words=False)) or " "
        # Folded where a terminal is narrow still: words are broken, and none is lost.
        side = "right" if grid.numeric(index) else "left"
        table.add_column(heading, justify=side, overflow="fold")
    for row in grid.rows:
        table.add_row(*(_rich_cell(cell, index == 0) for index, cell in enumerate(row)))
    return Group(Text(), table, Text(f"\n{printable(grid.caption)}.", style="dim"))


def _width(cell: Cell) -> int:
    return max(map(len, [cell.text, *cell.detail.splitlines()]))


def _rich_cell(cell: Cell, first: bool) -> Text:
    style = _COLOURS.get(cell.verdict, "bold" if first else "")
    text = Text(printable(cell.text), style=style)
    return text.append(f"\n{printable(cell.detail)}", style="not bold dim") if cell.detail else text


def markdown_table(grid: Grid) -> str:
    """A grid as a Markdown table with its caption below; significant differences are bold."""
    heads = "| " + " | ".join(map(_in_cell, grid.heads)) + " |"
    sides = (" ---: " if grid.numeric(index) else " --- " for index in range(len(grid.heads)))
    rule = "|" + "|".join(sides)
    rows = ["| " + " | ".join(_markdown_cell(cell) for cell in row) + " |" for row in grid.rows]
    return "\n".join([heads, f"{rule}|", *rows, "", f"{_first_of_line(_plain(grid.caption))}."])


def _markdown_cell(cell: Cell) -> str:
    text = f"**{_in_cell(cell.text)}**" if cell.verdict else _in_cell(cell.text)
    return f"{text} {_in_cell(cell.detail)}".strip()


def _in_cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """A text in one line of which Markdown makes no markup and no link."""
    line = " ".join(printable(text).split())
    line = re.sub(r"&(?=#?\w+;)", "&amp;", re.sub(r"[\\`*]", r"\\\g<0>", line))
    return re.sub(r"\](?=[(\[:])", r"\]", re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line))


def _first_of_line(text: str) -> str:
    return f"\\{text}" if text[:1] in tuple("#+->=~") else text


def write_between(path: Path, name: str, text: str) -> None:
    """Put `text` between `<!-- name -->` and `<!-- /name -->` in a file.

    Raises:
        DataError: the file does not have the two markers, once each and in this order.
    """
    if re.search(r"[<>\r\n]", name):
        raise DataError(
            f"no table can be marked with {excerpt(name)}: <!-- --> marks have no such name"
        )
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    check_regular(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            old = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}\n  {error}") from None
    head, opening, rest = old.partition(start)
    _, closing, tail = rest.partition(end)
    if not opening or not closing or start in tail or end in tail:
        raise DataError(f"{path} needs the lines {start} and {end}, once each and in this order")
    lines = f"{start}\n{text}\n{end}"
    write_text(path, head + (lines.replace("\n", "\r\n") if "\r\n" in old else lines) + tail)
