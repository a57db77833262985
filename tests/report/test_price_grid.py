"""The table of prices: costs beside gains, in words and pictures of the other tables."""

import pytest

from compare.synthetic import comparison
from compare.test_price import LOSSES, timed
from dropsmith.report import markdown_table, page, price_grid

pytestmark = pytest.mark.usefixtures("undrawn_pictures")


def cells(method):
    grid = price_grid(timed(comparison(LOSSES)))
    return next(row for row in grid.rows if row[0].text == method)


def test_time_steps_memory_gain_and_loss_stand_side_by_side():
    found = [(cell.text, cell.detail) for cell in cells("r-drop+every-2")]
    assert found[1:4] == [("2.00", "0.50 ÷ full"), ("75", ""), ("28 s", "400 MB")]
    assert [text for text, _ in found[4:]] == ["+1.00", "−0.040", "−0.25", "+0.010"]


def test_what_is_not_compared_with_itself_stays_empty():
    assert [cell.text for cell in cells("dropout")[4:]] == [""] * 4
    assert [cell.text for cell in cells("r-drop")[6:]] == ["", ""]
    assert cells("r-drop")[1].detail == ""


def test_the_caption_says_what_was_timed_and_for_how_many_example_views():
    grid = price_grid(timed(comparison(LOSSES)))
    assert "processor time" in grid.caption
    assert "example-views a run" in grid.caption
    walled = price_grid(timed(comparison(LOSSES), clocks=("seconds",)))
    assert "wall-clock time" in walled.caption


def test_there_is_no_table_where_nothing_is_saved():
    assert price_grid(comparison({"dropout": [0.2, 0.3], "r-drop": [0.1, 0.2]})) is None


def test_the_page_shows_it_with_the_bill():
    found = timed(comparison(LOSSES))
    html = page(found)
    bill = html.partition('id="bill"')[2].partition("</section>")[0]
    assert "0.50 ÷ full" in bill
    assert "0.50 ÷ full" in markdown_table(price_grid(found))
    assert "at every 2nd step" in html
