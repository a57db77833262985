"""The table's numbers against sums written out by hand."""

from dataclasses import replace
from statistics import mean, stdev

import pytest

from compare.synthetic import LOSSES, comparison, of_language, of_values, rescored, with_samples
from dropsmith.compare.summary import metrics, sample_averages, summarise


def lines(losses, **changes):
    return {line.method: line for line in summarise(comparison(losses, **changes))}


def test_means_and_deviations_are_over_seeds():
    found = lines(LOSSES)["r-drop"].spread["test_nll"]
    assert found.mean == pytest.approx(mean(LOSSES["r-drop"]))
    assert found.deviation == pytest.approx(stdev(LOSSES["r-drop"]))


def test_differences_are_to_dropout_and_dropout_has_none():
    found = lines(LOSSES)
    assert found["none"].to_baseline["test_nll"].mean == pytest.approx((0.1 + 0.12 + 0.09) / 3)
    assert found["dropout"].to_baseline == {}


def test_only_agreeing_two_view_methods_are_held_against_the_control():
    found = lines(LOSSES)
    assert [name for name, line in found.items() if line.to_control] == ["fraternal", "r-drop"]
    assert found["r-drop"].to_control["test_nll"].mean == pytest.approx(-0.04)


def test_a_failed_seed_is_left_out_of_its_pairs():
    found = lines({"dropout": [0.1, 0.2, 0.4], "none": [0.2, 0.2, 0.4]}, failed=(2,))["none"]
    assert (found.runs, found.finished) == (3, 2)
    assert found.to_baseline["test_nll"].pairs == 2


def test_a_method_without_a_finished_run_has_no_numbers_and_no_error():
    found = comparison({"dropout": [0.1, 0.2], "none": [0.2, 0.3]})
    dead = tuple(replace(run, status="stopped") for run in found.rows[1].records)
    rows = (found.rows[0], replace(found.rows[1], records=dead))
    line = summarise(replace(found, rows=rows))[1]
    assert (line.finished, line.spread, line.to_baseline, line.seconds) == (0, {}, {}, None)


def test_p_values_are_corrected_among_all_methods():
    found = lines(LOSSES)
    changes = [line.to_baseline["test_nll"] for line in found.values() if line.to_baseline]
    assert len(changes) == 5
    least = min(changes, key=lambda change: change.p)
    assert least.corrected == pytest.approx(min(1, 5 * least.p))
    assert all(change.corrected >= change.p for change in changes)


def test_language_models_are_judged_by_perplexity_too():
    found = comparison({"dropout": [0.1, 0.2]})
    spoken = tuple(
        replace(run, scores=run.scores | {"test_perplexity": 9.0}) for run in found.rows[0].records
    )
    spoken = replace(found, rows=(replace(found.rows[0], records=spoken),))
    assert "test_perplexity" not in metrics(found)
    assert metrics(spoken)[-1] == "test_perplexity"


def test_what_a_comparison_is_judged_by_is_what_its_runs_were_scored_by():
    found = comparison(LOSSES)
    assert metrics(found) == ("test_accuracy", "test_nll")
    assert metrics(rescored(found, of_language)) == ("test_perplexity", "test_nll")
    assert metrics(rescored(found, of_values)) == ("test_rmse",)
    dead = [
        replace(row, records=tuple(replace(run, status="stopped") for run in row.records))
        for row in found.rows
    ]
    assert metrics(replace(found, rows=tuple(dead))) == ("test_accuracy", "test_nll")


def test_errors_are_compared_seed_by_seed():
    found = {line.method: line for line in summarise(rescored(comparison(LOSSES), of_values))}
    expected = mean(
        0.5 * (a**0.5 - b**0.5) for a, b in zip(LOSSES["none"], LOSSES["dropout"], strict=True)
    )
    assert found["none"].to_baseline["test_rmse"].mean == pytest.approx(expected)
    assert found["r-drop"].to_control["test_rmse"].mean < 0


def test_the_mean_of_samples_is_held_against_the_same_weights_one_pass():
    assert sample_averages(comparison(LOSSES)) == ()
    (line,) = sample_averages(with_samples(comparison(LOSSES), ["r-drop"]))
    assert (line.method, line.samples) == ("r-drop", 7)
    assert line.spread["test_nll"].mean == pytest.approx(mean(LOSSES["r-drop"]) - 0.05)
    assert line.to_one_pass["test_nll"].mean == pytest.approx(-0.05)
    assert line.to_one_pass["test_nll"].pairs == 3
