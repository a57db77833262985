"""The sentences say what the intervals say, and when they say nothing."""

from dataclasses import replace

import pytest

from compare.synthetic import LOSSES, comparison, of_language, of_values, rescored
from dropsmith.report import findings


def test_clear_differences_are_named_by_direction_and_the_rest_as_not_told_apart():
    said = findings(comparison(LOSSES))
    assert said[0] == (
        "Against dropout, in likelihood: clearly better r-drop; clearly worse none; "
        "perhaps better (by interval, not by corrected p) fraternal; "
        "not told apart spatial, two-sample."
    )
    assert said[2].endswith("clearly better r-drop; not told apart fraternal.")


def test_one_seed_is_said_to_settle_nothing():
    said = findings(comparison({name: losses[:1] for name, losses in LOSSES.items()}))
    assert said[0] == "One seed gives no interval, so no difference can be called clear."
    assert not any("clearly" in sentence for sentence in said)


def test_that_one_seed_settles_nothing_is_said_once_and_not_for_every_metric():
    said = findings(comparison({name: losses[:1] for name, losses in LOSSES.items()}))
    assert sum("interval" in sentence for sentence in said) == 1


def test_a_control_of_one_seed_beside_methods_of_several_is_told_by_itself():
    losses = LOSSES | {"two-sample": LOSSES["two-sample"][:1]}
    said = findings(comparison(losses))
    assert "clearly better" in said[0]
    assert sum("one seed gives no interval" in sentence for sentence in said) == 1
    assert "Against two-sample" in next(one for one in said if "one seed" in one)


def steady(found):
    """The same comparison in which no validation loss ever rises."""
    rows = []
    for row in found.rows:
        flat = [replace(run, curve=run.curve[:4]) for run in row.records]
        rows.append(replace(row, records=tuple(flat)))
    return replace(found, rows=tuple(rows))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(lambda found: found, "overfitting to prevent"), (steady, "ends at its lowest point")],
)
def test_whether_the_task_can_tell_methods_apart_is_read_from_the_bare_model(change, sentence):
    assert any(sentence in said for said in findings(change(comparison(LOSSES))))


def test_a_language_model_has_turned_where_its_perplexity_has():
    """A rise of 0.03 nats is half a percent of 5.4 and three percent of the perplexity."""
    found = comparison({"none": [5.4, 5.5], "dropout": [5.4, 5.5]})
    curve = tuple({"step": i, **of_language(5.4 + rise)} for i, rise in enumerate((0.1, 0.0, 0.03)))
    rows = [
        replace(row, records=tuple(replace(run, curve=curve) for run in row.records))
        for row in rescored(found, of_language).rows
    ]
    said = findings(replace(found, rows=tuple(rows)))
    assert any("validation perplexity ends 3 % above its lowest point" in one for one in said)


def test_failed_runs_are_named_with_their_reason():
    said = findings(comparison({"none": [0.1, 0.2, 0.3], "dropout": [0.1, 0.2, 0.3]}, failed=(1,)))
    assert "none, seed 1: diverged: step 3" in said[-1]
    assert said[-1].startswith("2 of 18 runs did not finish")


def test_an_interval_that_correction_does_not_bear_out_is_called_perhaps():
    # Eight pairs whose t is 2.4 to 2.6: p is near 0.04 alone and above 0.05 as one of three.
    base = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37]
    steps = [-0.01, -0.03, 0.01, -0.02, -0.03, 0.005, -0.015, -0.01]
    near = [a + b for a, b in zip(base, steps, strict=True)]
    far = [a - 0.1 + b / 10 for a, b in zip(base, steps, strict=True)]
    losses = {"dropout": base, "none": near, "spatial": near, "blocks": far}
    (sentence, *_) = findings(comparison(losses))
    assert "clearly better blocks" in sentence
    assert "perhaps better (by interval, not by corrected p) none, spatial" in sentence


def test_a_few_seeds_are_corrected_no_less_than_many():
    # t is 4.6 to 4.8 of three pairs: p is near 0.04 alone, and 0.09 as one of two.
    base = [0.30, 0.32, 0.34]
    losses = {"dropout": base, "spatial": [0.27, 0.304, 0.318], "blocks": [0.28, 0.29, 0.325]}
    (sentence, *_) = findings(comparison(losses))
    assert "perhaps better (by interval, not by corrected p) spatial" in sentence
    assert "clearly" not in sentence


@pytest.mark.parametrize(
    ("scores", "spoken"), [(of_language, "in likelihood"), (of_values, "in squared error")]
)
def test_what_is_said_is_said_of_what_the_task_is_judged_by(scores, spoken):
    said = findings(rescored(comparison(LOSSES), scores))
    assert said[0].startswith(f"Against dropout, {spoken}: clearly better")
    assert said[1].startswith("Against two-sample")
    assert f"{spoken}: clearly better r-drop" in said[1]
    assert "overfitting to prevent" in said[2]
