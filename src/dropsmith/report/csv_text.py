"""A grid as comma-separated values, for spreadsheets and data frames."""

import csv
from io import StringIO

from dropsmith.errors import printable
from dropsmith.report.cells import Grid


def csv_text(grid: Grid) -> str:
    """The cells of a grid, what stands below them in columns of their own.

    Minus signs are hyphens, so that numbers are read as numbers. A text that a spreadsheet would
    take for a formula begins with an apostrophe.

    >>> from dropsmith.report import Cell
    >>> cells = (Cell("a"), Cell("−1.5", "± 0.2", "worse"))
    >>> print(csv_text(Grid("Two", ("name", "loss"), (cells,))))
    name,loss,loss: detail,loss: verdict
    a,-1.5,± 0.2,worse
    <BLANKLINE>
    """
    columns = [
        (index, part, head if part == "text" else f"{head}: {part}")
        for index, head in enumerate(grid.heads)
        for part in ("text", "detail", "verdict")
        if part == "text" or any(getattr(row[index], part) for row in grid.rows)
    ]
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_plain(head) for _, _, head in columns])
    for row in grid.rows:
        writer.writerow([_plain(getattr(row[index], part)) for index, part, _ in columns])
    return buffer.getvalue()


def _plain(text: str) -> str:
    line = " ".join(printable(text).split()).replace("−", "-")
    try:
        float(line)
    except ValueError:
        return f"'{line}" if line[:1] in tuple("=+-@") and line else line
    return line
