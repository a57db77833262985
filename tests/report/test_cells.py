"""Tables: their cells are the records' numbers, in the terminal, in Markdown and on the page."""

import os
import re
from collections import Counter
from io import StringIO

import pytest
from rich.console import Console

from compare.synthetic import (
    LOSSES,
    comparison,
    of_language,
    of_values,
    rescored,
    with_samples,
)
from dropsmith.errors import DataError
from dropsmith.report import (
    control_grid,
    main_grid,
    markdown_table,
    rich_table,
    sampled_grid,
    trial_grid,
    write_between,
)
from dropsmith.report.cells import setting_cell
from dropsmith.report.html import table


def row(grid, method):
    return next(cells for cells in grid.rows if cells[0].text == method)


def in_terminal(grid, width):
    console = Console(file=StringIO(), width=width)
    console.print(rich_table(grid))
    return console.file.getvalue()


def test_the_main_table_has_scores_differences_and_the_bill():
    cells = row(main_grid(comparison(LOSSES)), "r-drop")
    assert [cell.text for cell in cells] == [
        "r-drop", "rate 0.5", "95.75", "0.170", "+1.25", "−0.050", "7.0 s"
    ]  # fmt: skip
    assert cells[1].detail == "alpha 0.3"
    assert cells[3].detail == "± 0.018"
    assert cells[-1].detail == "400 MB"
    assert cells[5].verdict == "better"


def test_a_narrow_terminal_breaks_words_and_loses_none():
    grid = main_grid(comparison(LOSSES))
    said = in_terminal(grid, 44)
    assert "…" not in said
    letters = Counter(
        "".join(grid.heads) + "".join(c.text + c.detail for r in grid.rows for c in r)
    )
    shown = Counter(said)
    assert all(shown[one] >= count for one, count in letters.items() if not one.isspace())


def test_the_baseline_is_not_compared_with_itself():
    cells = row(main_grid(comparison(LOSSES)), "dropout")
    assert [cell.text for cell in cells[4:6]] == ["", ""]


def test_missing_runs_are_said_beside_the_method():
    grid = main_grid(comparison({"dropout": [0.1, 0.2, 0.3]}, failed=(1,)))
    assert row(grid, "dropout")[0].detail == "2 of 3 runs finished"


def test_p_values_stand_below_the_interval_from_eight_seeds():
    eight = {
        "dropout": [0.1 * n for n in range(8)],
        "none": [0.1 * n + 1 + n % 2 for n in range(8)],
    }
    grid = main_grid(comparison(eight))
    assert re.search(r"\np (< )?0\.", row(grid, "none")[5].detail)
    seven = main_grid(comparison({name: losses[:7] for name, losses in eight.items()}))
    assert "\np" not in row(seven, "none")[5].detail
    assert "Holm" in grid.caption


def test_the_control_table_exists_where_views_agree():
    assert [cells[0].text for cells in control_grid(comparison(LOSSES)).rows] == [
        "fraternal", "r-drop"
    ]  # fmt: skip
    assert control_grid(comparison({"dropout": [0.1, 0.2]})) is None


def test_every_trial_is_shown_and_one_of_each_method_chosen():
    grid = trial_grid(comparison(LOSSES))
    assert len(grid.rows) == 3 * len(LOSSES)
    assert sum(cells[-1].text == "chosen" for cells in grid.rows) == len(LOSSES)


def test_the_terminal_shows_every_number_whole_in_eighty_columns():
    grid = main_grid(comparison(LOSSES))
    shown = in_terminal(grid, 80)
    for cells in grid.rows:
        for cell in cells:
            assert cell.text in shown
            assert all(line in shown for line in cell.detail.splitlines())


def test_markdown_has_a_row_per_method_and_bold_where_clear():
    lines = markdown_table(main_grid(comparison(LOSSES))).splitlines()
    assert lines[1].count("---") == lines[0].count("|") - 1 == 7
    assert lines[1].startswith("| --- | --- | ---: |")
    assert "**−0.050**" in next(line for line in lines if line.startswith("| r-drop"))


def test_the_page_says_better_in_words_and_names_rows_and_columns():
    html = table(main_grid(comparison(LOSSES)))
    assert '<span class="word">better</span>' in html
    assert html.count('scope="row"') == len(LOSSES)
    assert html.count('scope="col"') == 7


def test_text_between_markers_is_replaced_and_nothing_else(tmp_path):
    path = tmp_path / "card.md"
    path.write_text("# A\n<!-- digits -->\nold\n<!-- /digits -->\nend\n")
    write_between(path, "digits", "new")
    write_between(path, "digits", "newer")
    assert path.read_text() == "# A\n<!-- digits -->\nnewer\n<!-- /digits -->\nend\n"


@pytest.mark.parametrize(
    "text",
    ["", "<!-- a -->", "<!-- /a --> <!-- a -->", "<!-- a --><!-- /a --><!-- a -->"],
)
def test_a_file_without_its_markers_is_left_alone(tmp_path, text):
    path = tmp_path / "card.md"
    path.write_text(text)
    with pytest.raises(DataError, match="needs the lines <!-- a -->"):
        write_between(path, "a", "new")
    assert path.read_text() == text


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_table_goes_into_no_link_and_waits_for_no_pipe(kind, tmp_path):
    text = "<!-- a --><!-- /a -->"
    victim, path = tmp_path / "victim.md", tmp_path / "card.md"
    victim.write_text(text)
    make = {
        "link": lambda: path.symlink_to(victim),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    make[kind]()
    with pytest.raises(DataError, match=r"card\.md is (a link|no file), and is left alone"):
        write_between(path, "a", "new")
    assert victim.read_text() == text


def test_a_table_keeps_the_ends_of_lines_and_the_letters_of_its_file(tmp_path):
    path = tmp_path / "card.md"
    path.write_bytes("é\r\n<!-- a -->\r\n<!-- /a -->\r\n".encode())
    write_between(path, "a", "one\ntwo")
    assert path.read_bytes() == "é\r\n<!-- a -->\r\none\r\ntwo\r\n<!-- /a -->\r\n".encode()
    path.write_bytes(b"caf\xe9<!-- a --><!-- /a -->")
    with pytest.raises(DataError, match=f"cannot read {path}"):
        write_between(path, "a", "new")


def test_a_name_that_would_end_its_mark_is_refused(tmp_path):
    path = tmp_path / "card.md"
    path.write_text("<!-- a --> --><!-- /a --> -->")
    with pytest.raises(DataError, match="no table can be marked with 'a -->'"):
        write_between(path, "a -->", "new")


def test_a_language_models_table_has_perplexity_before_likelihood():
    grid = main_grid(rescored(comparison(LOSSES), of_language))
    assert grid.heads[2:6] == (
        "test perplexity", "test NLL", "Δ perplexity to dropout", "Δ NLL to dropout"
    )  # fmt: skip
    assert row(grid, "dropout")[2].text == "1.25"
    assert trial_grid(rescored(comparison(LOSSES), of_language)).heads[2:4] == (
        "validation NLL", "validation perplexity"
    )  # fmt: skip


def test_a_regressions_table_has_its_error_and_less_is_better():
    found = rescored(comparison(LOSSES), of_values)
    grid = main_grid(found)
    assert grid.heads[2:4] == ("test RMSE", "Δ RMSE to dropout")
    assert row(grid, "r-drop")[2].text == "0.2060"
    assert row(grid, "r-drop")[3].verdict == "better"
    trials = trial_grid(found)
    assert trials.heads[2:4] == ("validation MSE", "validation RMSE")
    assert "least" in trials.caption
    assert "MSE" in trials.caption


def test_the_mean_of_samples_has_a_table_where_there_is_one():
    assert sampled_grid(comparison(LOSSES)) is None
    grid = sampled_grid(with_samples(comparison(LOSSES), ["dropout", "r-drop"]))
    assert grid.heads == (
        "method",
        "test accuracy (%) of the mean",
        "test NLL of the mean",
        "Δ accuracy to one pass",
        "Δ NLL to one pass",
    )
    assert [cell.text for cell in row(grid, "r-drop")[1:]] == ["90.75", "0.120", "−5.00", "−0.050"]
    assert row(grid, "r-drop")[4].verdict == "better"
    assert "7 noisy passes over the test set, against" in grid.caption


def test_the_table_of_samples_says_what_they_left_without_noise():
    grid = sampled_grid(with_samples(comparison(LOSSES), ["dropout"], without=["words"]))
    assert "over the test set, with no noise on words, against" in grid.caption


def test_a_weight_keeps_its_name_unless_it_is_weight_decay():
    cell = setting_cell({"rate": 0.3, "weight": 1.0, "weight_decay": 0.1})
    assert (cell.text, cell.detail) == ("rate 0.3", "weight 1, decay 0.1")
