"""Tables in Markdown, put between markers of a file so that documents never drift from records."""

from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.report.cells import Cell, Grid


def markdown_table(grid: Grid) -> str:
    """A grid as a Markdown table with its caption below; clear differences are bold."""
    heads = "| " + " | ".join(grid.heads) + " |"
    sides = (" ---: " if grid.numeric(index) else " --- " for index in range(len(grid.heads)))
    rule = "|" + "|".join(sides)
    rows = ["| " + " | ".join(_shown(cell) for cell in row) + " |" for row in grid.rows]
    return "\n".join([heads, f"{rule}|", *rows, "", f"{grid.caption}."])


def _shown(cell: Cell) -> str:
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
    before, found, rest = old.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed or start in after or end in after:
        raise DataError(f"{path} needs the lines {start} and {end}, once each and in this order")
    path.write_text(f"{before}{start}\n{text}\n{end}{after}")
