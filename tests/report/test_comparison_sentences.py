"""The sentences say what the intervals say, and when they say nothing."""

from dataclasses import replace

import pytest

from compare.synthetic import LOSSES, comparison, of_language, of_values, rescored
from dropsmith.report import findings


def test_verdicts_are_named_one_by_one_with_their_methods():
    said = findings(comparison(LOSSES))
    assert said[0] == (
        "Test accuracy compared with dropout: better: r-drop; worse: none; "
        "better, but not significant after Holm correction: fraternal; "
        "no detectable difference: spatial, two-sample."
    )
    assert said[2] == (
        "Effect of the consistency term on test accuracy (difference from two-sample: same passes, "
        "no consistency loss): better: r-drop; no detectable difference: fraternal."
    )


@pytest.mark.parametrize("seeds", [1, 2])
def test_that_fewer_than_three_seeds_settle_nothing_is_said_once(seeds):
    said = findings(comparison({name: losses[:seeds] for name, losses in LOSSES.items()}))
    assert said[0].startswith(
        "Fewer than three seeds give no interval, so nothing can be concluded"
    )
    assert sum("interval" in sentence for sentence in said) == 1
    assert not any("better" in sentence or "worse" in sentence for sentence in said)


def test_a_control_of_one_seed_beside_methods_of_several_is_told_by_itself():
    losses = LOSSES | {"two-sample": LOSSES["two-sample"][:1]}
    said = findings(comparison(losses))
    assert "better: r-drop" in said[0]
    assert "no interval, so no verdict: two-sample" in said[0]
    assert "no consistency loss): no interval, so no verdict: fraternal, r-drop." in said[2]


def steady(found):
    """The same comparison in which no validation loss ever rises."""
    rows = []
    for row in found.rows:
        flat = [replace(run, curve=run.curve[:4]) for run in row.records]
        rows.append(replace(row, records=tuple(flat)))
    return replace(found, rows=tuple(rows))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(lambda found: found, "the model overfits"), (steady, "the model hardly overfits")],
)
def test_whether_the_model_overfits_is_read_from_the_bare_model(change, sentence):
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


def test_an_interval_without_zero_is_not_enough_after_correction():
    # Eight pairs whose t is 2.4 to 2.6: p is near 0.04 alone and above 0.05 as one of three.
    base = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37]
    steps = [-0.01, -0.03, 0.01, -0.02, -0.03, 0.005, -0.015, -0.01]
    near = [a + b for a, b in zip(base, steps, strict=True)]
    far = [a - 0.1 + b / 10 for a, b in zip(base, steps, strict=True)]
    losses = {"dropout": base, "none": near, "spatial": near, "blocks": far}
    (sentence, *_) = findings(comparison(losses))
    assert ": better: blocks;" in sentence
    assert "better, but not significant after Holm correction: none, spatial." in sentence


def test_a_few_seeds_are_corrected_no_less_than_many():
    # t is 4.6 to 4.8 of three pairs: p is near 0.04 alone, and 0.09 as one of two.
    base = [0.30, 0.32, 0.34]
    losses = {"dropout": base, "spatial": [0.27, 0.304, 0.318], "blocks": [0.28, 0.29, 0.325]}
    (sentence, *_) = findings(comparison(losses))
    assert sentence.endswith(
        "dropout: better, but not significant after Holm correction: spatial, blocks."
    )


@pytest.mark.parametrize(
    ("scores", "spoken"), [(of_language, "est perplexity"), (of_values, "est RMSE")]
)
def test_what_is_said_is_said_of_what_the_task_is_judged_by(scores, spoken):
    said = findings(rescored(comparison(LOSSES), scores))
    assert said[0].startswith(f"T{spoken} compared with dropout: better: ")
    effect = next(each for each in said if f"consistency term on t{spoken}" in each)
    assert "loss): better: r-drop" in effect
    assert "overfits" in said[-1]
