"""Pieces of the page: tables, pictures, lists, every text escaped."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape as escape_markup
from pathlib import Path

from dropsmith.errors import DataError, printable
from dropsmith.files import write_text
from dropsmith.report.cells import Cell, Grid
from dropsmith.report.csv_text import csv_text

FILE = "report.html"


def document(title: str, body: str) -> str:
    """A whole page that asks for nothing from anywhere."""
    style, script = (Path(__file__).with_name(f"page.{kind}").read_text() for kind in ("css", "js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<main>\n{body}\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def save_page(text: str, folder: Path) -> Path:
    """Write a page into a folder as `report.html`, whole or not at all, and return its path."""
    path = folder / FILE
    check_regular(path)
    write_text(path, text)
    return path


def check_regular(path: Path) -> None:
    """Raise `DataError` unless writing to a path makes a file or replaces one, and no link."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        kind = "a link" if path.is_symlink() else "no file"
        raise DataError(
            f"{path} is {kind}, and is left alone\n  remove it, or name the file that it stands for"
        )


def escape(text: str) -> str:
    """A text as HTML shows it, inside of elements and of attributes, whatever it holds.

    A line is not broken between a number and what belongs to it.

    >>> escape("< 95 % ± 2")
    '&lt; 95\\xa0% ±\\xa02'
    """
    return re.sub("(?<=±) | (?=%)", "\N{NO-BREAK SPACE}", escape_markup(printable(text)))


def contents(sections: Iterable[str]) -> str:
    """Links to the sections of the page that are there."""
    heads = [match for part in sections if (match := _SECTION.match(part))]
    links = "\n".join(f'<li><a href="#{head[1]}">{head[2]}</a></li>' for head in heads)
    return f'<nav aria-label="Contents">\n<ul>\n{links}\n</ul>\n</nav>' if links else ""


_SECTION = re.compile('<section id="([^"<>]*)">\n<h2>([^<>]*)</h2>')


def section(name: str, title: str, *parts: str) -> str:
    """A part of the page under its heading; nothing where it would be empty."""
    inside = "\n".join(part for part in parts if part)
    return (
        f'<section id="{escape(name)}">\n<h2>{escape(title)}</h2>\n{inside}\n</section>'
        if inside
        else ""
    )


def heading(text: str) -> str:
    """The heading of the page."""
    return f"<h1>{escape(text)}</h1>"


def folded(title: str, inside: str) -> str:
    """Something long, shown when its title is clicked."""
    return f"<details>\n<summary>{escape(title)}</summary>\n{inside}\n</details>"


def code(text: str) -> str:
    """Something to type."""
    return f"<pre><code>{escape(text)}</code></pre>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def answer_box(text: str, command: str) -> str:
    """The paragraph that a page begins with, and what to type next."""
    return f'<div class="answer">\n{paragraph(text)}\n{code(command)}\n</div>'


def items(texts: Iterable[str]) -> str:
    """A list of plain texts."""
    inside = "\n".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>\n{inside}\n</ul>" if inside else ""


def facts(pairs: Mapping[str, str]) -> str:
    """Names and what they stand for."""
    inside = "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs.items())
    return f"<dl>\n{inside}\n</dl>" if inside else ""


def table(grid: Grid | None, name: str = "table") -> str:
    """A grid as a table whose rows and columns are named for screen readers, with its CSV."""
    if grid is None:
        return ""
    sides = [
        ' class="number"' if index and grid.numeric(index) else ""
        for index in range(len(grid.heads))
    ]
    heads = "".join(
        f'<th scope="col"{side}>{escape(head)}</th>'
        for head, side in zip(grid.heads, sides, strict=True)
    )
    rows = "\n".join(f"<tr>{_row(row, sides)}</tr>" for row in grid.rows)
    data = b64encode(csv_text(grid).encode("utf-8-sig")).decode()
    return (
        '<div class="table">\n<p class="hint">The table is wider than the screen: scroll it '
        "sideways.</p>\n"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(grid.caption)}">\n'
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n"
        f'<p class="caption">{escape(grid.caption)}. '
        f'<a download="{escape(name)}.csv" href="data:text/csv;base64,{data}">CSV</a></p>\n</div>'
    )


def _row(row: tuple[Cell, ...], sides: list[str]) -> str:
    first = f'<th scope="row">{_cell(row[0])}</th>'
    rest = zip(row[1:], sides[1:], strict=True)
    return first + "".join(f"<td{side}>{_cell(cell)}</td>" for cell, side in rest)


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.verdict:  # colour is never the only sign
        verdict = escape(cell.verdict)
        text = f'<span class="{verdict}">{text} <span class="word">{verdict}</span></span>'
    return f'{text}<span class="detail">{escape(cell.detail)}</span>' if cell.detail else text


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""
