"""The budget rule stands above every table, and in the first paragraph of the page."""

from dataclasses import replace

import pytest

from compare.synthetic import LOSSES, comparison
from dropsmith.compare import Comparison
from dropsmith.report import control_grid, main_grid, page
from dropsmith.report.budget_words import rule_sentence, rule_words, unconverged_words
from dropsmith.report.comparison_figures import frontier, frontier_figure
from dropsmith.report.reproduce_command import comparison_command


def under(rule):
    """A comparison whose runs of two views cost twice as much."""
    made = comparison(LOSSES)
    rows = []
    for row in made.rows:
        views = 1000.0 * (1 + (row.method in ("two-sample", "fraternal", "r-drop")))
        records = [
            replace(
                run,
                cost=run.cost | {"example_views": views, "steps": 50, "processor_seconds": views},
                config=run.config | {"budget": run.config["budget"] | {"patience": 4}},
            )
            for run in row.records
        ]
        rows.append(replace(row, records=tuple(records), trials=()))
    return Comparison(task=made.task, rows=tuple(rows), equal=rule)


@pytest.mark.parametrize("rule", ["views", "updates", "converged", "recipes"])
def test_captions_of_both_tables_name_the_rule(rule):
    made = under(rule)
    for grid in (main_grid(made), control_grid(made)):
        assert grid is None or rule_words(made) in grid.caption


def test_the_sentence_has_the_numbers_of_the_runs():
    assert rule_sentence(under("views")) == "1,000 example-views a run for every method"
    words = rule_sentence(under("updates"))
    assert "50 updates a run for every method" in words
    assert "1,000 to 2,000 example-views" in words
    assert "until 4 evaluations in a row had no better validation loss" in rule_sentence(
        under("converged")
    )


def test_runs_that_had_not_converged_are_counted_by_their_method_in_table_and_page():
    made = under("converged")
    assert unconverged_words(made) == ""  # their loss rose for longer than their patience
    rows = []
    for place, row in enumerate(made.rows):
        records = [
            replace(
                run,
                config=run.config
                | {"budget": run.config["budget"] | {"epochs": 10, "patience": 6}},
            )
            for run in row.records[: place % 2 * 2]
        ]
        rows.append(replace(row, records=(*records, *row.records[len(records) :])))
    cut = replace(made, rows=tuple(rows))
    methods = [row.method for row in made.rows][1::2]
    words = ", ".join(f"2 of {len(made.rows[0].records)} of {method}" for method in methods)
    expected = f"runs that had not converged after 10 times the usual epochs: {words}"
    assert unconverged_words(cut) == expected
    assert main_grid(cut).caption.endswith(f"; {expected}")
    assert f"R{expected[1:]}." in page(cut)
    assert unconverged_words(replace(cut, equal="updates")) == ""


def test_the_command_has_the_rule_and_the_epochs_of_which_it_makes_a_run():
    epochs = under("updates").records[-1].config["budget"]["epochs"]
    assert "--equal" not in comparison_command(under("views"))
    assert f"--budget {epochs} --equal updates" in comparison_command(under("updates"))
    line = comparison_command(under("converged"))
    assert f"--budget {epochs // 10} --equal converged --patience 4" in line


def test_the_frontier_has_every_method_that_none_beats_at_its_cost():
    points = {"a": (2.0, 0.3), "b": (1.0, 0.5), "c": (3.0, 0.3), "d": (4.0, 0.1), "e": (1.0, 0.6)}
    for sign, more in ((1, False), (-1, True)):
        signed = {name: (cost, sign * score) for name, (cost, score) in points.items()}
        beaten = {
            name
            for name, (cost, score) in points.items()
            for other, (price, rival) in points.items()
            if other != name
            and price <= cost
            and rival <= score
            and (price, rival) != (cost, score)
        }
        assert set(frontier(signed, more)) == set(points) - beaten == {"a", "b", "d"}


def test_the_picture_has_a_point_for_each_method():
    made = under("updates")
    figure = frontier_figure(made)
    assert figure is not None
    names = {text.get_text() for text in figure.axes[0].texts}
    assert names == {row.method for row in made.rows}
    assert frontier_figure(replace(made, rows=made.rows[:1])) is None
