"""The CSV beside a table holds its numbers, and starts no formula."""

import base64
import csv
import io
import re

import pytest

from compare.synthetic import LOSSES, comparison
from dropsmith.report import Cell, Grid, main_grid
from dropsmith.report.csv_text import csv_text
from dropsmith.report.html import table


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_numbers_are_numbers_and_details_have_columns_of_their_own():
    grid = main_grid(comparison(LOSSES))
    rows = {row["method"]: row for row in rows_of(csv_text(grid))}
    assert list(rows) == list(LOSSES)
    assert float(rows["r-drop"]["Δ NLL to dropout"]) == -0.05
    assert rows["r-drop"]["Δ NLL to dropout: verdict"] == "better"
    assert rows["r-drop"]["test NLL: detail"] == "± 0.018"


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+x", "-x", "a,b", 'a"b', "two\nlines"])
def test_a_cell_is_one_cell_and_no_formula(text):
    (row,) = rows_of(csv_text(Grid("c", ("name",), ((Cell(text),),))))
    assert row["name"].lstrip("'") == " ".join(text.split())
    assert row["name"][:1] not in tuple("=+-@")


def test_the_link_below_the_table_holds_the_same():
    grid = main_grid(comparison(LOSSES))
    found = re.search(
        '<a download="mine.csv" href="data:text/csv;base64,([^"]*)">', table(grid, "mine")
    )
    assert base64.b64decode(found[1]).decode("utf-8-sig") == csv_text(grid)
