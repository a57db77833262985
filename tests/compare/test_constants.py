"""Whether a method is better than always predicting the commonest class, or the mean."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from compare.synthetic import comparison, of_values, rescored
from dropsmith.compare import COMMONEST, MEAN, Conclusion, answer, constant_predictor, metrics
from dropsmith.report import answer_text, findings, main_grid, page

NEAR = [0.300, 0.312, 0.295, 0.307, 0.301]


def with_constant(made, **scores):
    """The comparison whose runs also hold these scores of the constant predictor."""
    named = {f"test_constant_{name}": value for name, value in scores.items()}

    def one(run):
        return run if run.status != "finished" else replace(run, scores=run.scores | named)

    rows = [replace(row, records=tuple(map(one, row.records))) for row in made.rows]
    return replace(made, rows=tuple(rows))


def two(step):
    return comparison({"dropout": NEAR, "none": [loss + step for loss in (*NEAR[1:], NEAR[0])]})


def test_old_records_have_no_constant_predictor():
    assert constant_predictor(two(0)) is None
    assert not any("Nothing was learned" in sentence for sentence in findings(two(0)))


@pytest.mark.parametrize("nll", [0.20, 0.29, 0.30, 0.303, 0.306, 0.31, 0.40])
def test_a_method_is_better_where_the_one_sample_test_says_so_after_correction(nll):
    made = with_constant(two(0.02), accuracy=0.99, nll=nll)
    tests = {
        row.method: stats.ttest_1samp([run.scores["test_nll"] for run in row.records], nll)
        for row in made.rows
    }
    first, second = sorted(tests, key=lambda name: tests[name].pvalue)
    p = {first: 2 * tests[first].pvalue}
    p[second] = max(p[first], tests[second].pvalue)
    wanted = {name for name in p if p[name] < 0.05 and tests[name].statistic < 0}
    found = constant_predictor(made)
    assert set(found.better) == wanted
    assert found.is_beaten == bool(wanted)
    assert (found.name, found.scores) == (COMMONEST, {"test_accuracy": 0.99, "test_nll": nll})


@pytest.mark.slow
def test_where_nobody_is_better_nothing_was_learned_and_that_is_the_answer():
    made = with_constant(two(0.0), accuracy=0.95, nll=0.29)
    result = answer_text(made)
    assert answer(made).conclusion is Conclusion.NOT_LEARNED
    assert result.text.startswith(
        "Nothing was learned: no method is detectably better than always predicting the commonest "
        "class (test accuracy 95.00 %, test NLL 0.290)."
    )
    assert "--budget 120" in result.command
    said = " ".join(findings(made))
    assert "Nothing was learned" in said
    assert "overfit" not in said
    assert "Nothing was learned" in page(made)


def test_being_better_in_one_score_is_to_have_learned():
    made = with_constant(two(0.0), accuracy=0.95, nll=0.5)
    assert constant_predictor(made).better == ("dropout", "none")
    assert answer(made).conclusion is Conclusion.KEEP
    assert "overfit" in " ".join(findings(made))


@pytest.mark.parametrize(("loss", "is_beaten"), [(0.2, True), (0.4, False)])
def test_one_seed_has_learned_where_its_score_is_better(loss, is_beaten):
    made = comparison({"dropout": [loss], "none": [loss]})
    found = constant_predictor(with_constant(made, accuracy=1.0, nll=0.3))
    assert found.is_beaten == is_beaten


def test_of_values_it_is_the_mean():
    made = with_constant(rescored(two(0), of_values), rmse=0.9, mae=0.5)
    found = constant_predictor(made)
    assert (found.name, found.scores, found.is_beaten) == (MEAN, {"test_rmse": 0.9}, True)


def test_it_has_a_row_in_the_table_and_no_difference():
    grid = main_grid(with_constant(two(0), accuracy=0.5, nll=0.69))
    last = grid.rows[-1]
    assert [cell.text for cell in last] == [COMMONEST, "", "50.00", "0.690", "", "", ""]
    assert len(grid.rows) == 3


@pytest.mark.parametrize("counts", [(50, 50), (90, 10), (40, 30, 30), (70, 20, 10), (10,) * 10])
def test_macro_f1_stands_in_the_table_where_classes_are_unbalanced(counts):
    share = max(counts) / sum(counts)
    mean_f1 = 2 * share / (1 + share) / len(counts)
    made = with_constant(two(0), accuracy=share, macro_f1=mean_f1)
    assert metrics(made) == ("test_accuracy", "test_nll")
    rows = [
        replace(
            row,
            records=tuple(
                replace(run, scores=run.scores | {"test_macro_f1": 0.5}) for run in row.records
            ),
        )
        for row in made.rows
    ]
    unbalanced = int(share > 1.5 * np.mean(counts) / sum(counts))
    wanted = ("test_accuracy", *(["test_macro_f1"] * unbalanced), "test_nll")
    assert metrics(replace(made, rows=tuple(rows))) == wanted
