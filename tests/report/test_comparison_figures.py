"""Pictures: what is drawn is what the records hold, and drawing changes nothing elsewhere."""

import matplotlib as mpl
import numpy as np
import pytest

from compare.synthetic import LOSSES, comparison, of_language, of_values, rescored
from dropsmith.compare import summarise
from dropsmith.report.comparison_figures import cost_figure, forest_figure
from dropsmith.report.curves import curve_of, curves_figure
from dropsmith.report.figures import png, svg

FOUND = comparison(LOSSES)
ONE = comparison({"dropout": [0.2]})


def test_curves_have_a_panel_per_method_with_its_mean_over_seeds():
    figure = curves_figure(FOUND)
    panels = {panel.get_title(loc="left"): panel for panel in figure.axes if panel.lines}
    assert list(panels) == list(LOSSES)
    drawn = panels["r-drop"].lines[-1].get_ydata()
    runs = [[step["validation_nll"] for step in run.curve] for run in FOUND.row("r-drop").records]
    assert drawn == pytest.approx(np.mean(runs, axis=0))
    views = [step["views"] for step in FOUND.row("r-drop").records[0].curve]
    assert panels["r-drop"].lines[-1].get_xdata() == pytest.approx(views)


def test_places_without_a_method_stay_empty_and_the_panel_above_shows_the_axis():
    figure = curves_figure(
        comparison({"none": [0.2], "dropout": [0.2], "pi": [0.2], "r-drop": [0.2]})
    )
    assert [panel.axison for panel in figure.axes] == [True] * 4 + [False] * 2
    figure.draw_without_rendering()
    shown = [panel.xaxis.get_tick_params()["labelbottom"] for panel in figure.axes[:4]]
    assert shown == [False, True, True, True]


def test_runs_that_stopped_early_are_cut_to_what_all_seeds_have():
    row = FOUND.row("dropout")
    from dataclasses import replace

    short = replace(row.records[0], curve=row.records[0].curve[:6])
    _, losses = curve_of(replace(row, records=(short, *row.records[1:])))
    assert losses.shape == (3, 6)


def test_the_forest_draws_each_mean_in_the_metrics_units():
    lines = {line.method: line for line in summarise(FOUND) if line.to_baseline}
    accuracy, nll = forest_figure(FOUND).axes
    for panel, name, scale in ((accuracy, "test_accuracy", 100), (nll, "test_nll", 1)):
        marks = [line for line in panel.lines if line.get_marker() in ("D", "o")]
        means = [scale * line.to_baseline[name].mean for line in lines.values()]
        assert [mark.get_xdata()[0] for mark in marks] == pytest.approx(means)
    assert [label.get_text() for label in accuracy.get_yticklabels()] == list(lines)


def test_the_bill_has_a_bar_of_seconds_and_of_memory_per_method():
    time, memory = cost_figure(FOUND).axes
    assert [bar.get_width() for bar in time.patches] == [6.0] * 3 + [7.0] * 3
    assert {bar.get_width() for bar in memory.patches} == {4e8}


def test_nothing_to_draw_is_none():
    assert forest_figure(ONE) is None
    empty = comparison({"dropout": [0.2]}, failed=(0,))
    assert curves_figure(empty) is None
    assert cost_figure(empty) is None


@pytest.mark.slow
@pytest.mark.parametrize("make", [curves_figure, forest_figure, cost_figure])
def test_a_picture_is_the_same_each_time_and_leaves_no_setting_behind(make):
    before = dict(mpl.rcParams)
    assert svg(make(FOUND)) == svg(make(FOUND))
    assert png(make(FOUND))[:4] == b"\x89PNG"
    assert dict(mpl.rcParams) == before


def test_one_method_with_one_seed_draws_too():
    assert svg(curves_figure(ONE)).startswith("<?xml")


def test_pictures_show_what_the_task_is_judged_by():
    values, language = (rescored(FOUND, scores) for scores in (of_values, of_language))
    assert [panel.get_xlabel() for panel in forest_figure(values).axes] == [
        "Δ test RMSE to dropout"
    ]
    assert [panel.get_xlabel() for panel in forest_figure(language).axes] == [
        "Δ test perplexity to dropout", "Δ test NLL to dropout"
    ]  # fmt: skip
    assert "validation MSE" in [text.get_text() for text in curves_figure(values).texts]
    drawn = curve_of(values.row("r-drop"))[1]
    assert np.array_equal(drawn, curve_of(FOUND.row("r-drop"))[1])
