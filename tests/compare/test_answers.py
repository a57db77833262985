"""The method that an answer names, against a rule that is written here anew."""

from dataclasses import replace
from itertools import product
from statistics import mean

import numpy as np
import pytest
from scipy import stats

from compare import synthetic
from compare.synthetic import comparison, design, of_language, of_values, rescored
from dropsmith.compare import Conclusion, Row, answer
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule

BASE = [0.300, 0.312, 0.295, 0.307, 0.301]


def moved(step, noise=0.004, seed=0):
    """The baseline's losses, moved by a step that varies from seed to seed."""
    wobble = np.random.default_rng(seed).normal(0, noise, len(BASE))
    return [a + step + b for a, b in zip(BASE, wobble, strict=True)]


STEPS = {"better": -0.05, "best": -0.08, "worse": 0.05, "equal": 0.0}


def named(losses, accuracies):
    """The method to name: by scipy's paired test, and Holm's correction written out."""
    base = "dropout" if "dropout" in losses else "none" if "none" in losses else next(iter(losses))
    grades = {}
    for scores, sign in ((accuracies, 1), (losses, -1)):
        tests = {
            name: stats.ttest_rel(scores[name], scores[base]) for name in losses if name != base
        }
        order = sorted(tests, key=lambda name: tests[name].pvalue)
        floor = 0.0
        for rank, name in enumerate(order):
            floor = max(floor, (len(order) - rank) * tests[name].pvalue)
            up = sign * mean(np.subtract(scores[name], scores[base])) > 0
            if tests[name].pvalue < 0.05:
                grade = ("" if floor < 0.05 else "perhaps ") + ("better" if up else "worse")
                grades.setdefault(name, []).append(grade)
            else:
                grades.setdefault(name, []).append("")
    winners = [name for name, (first, _) in grades.items() if first == "better"]
    if winners:
        return max(winners, key=lambda name: mean(accuracies[name]))
    kept = [base] + [n for n, marks in grades.items() if not any("worse" in m for m in marks)]
    simple = ["none", base, *losses]
    two_views = ("two-sample", "fraternal", "r-drop", "pi")
    return min(kept, key=lambda name: (name in two_views, simple.index(name)))


@pytest.mark.parametrize("kinds", list(product(STEPS, repeat=3)), ids="-".join)
def test_the_method_is_the_best_that_is_significant_or_else_the_simplest_that_is_not_worse(kinds):
    methods = ("none", "spatial", "r-drop")
    losses = {"dropout": BASE} | {
        name: moved(STEPS[kind], seed=number)
        for number, (name, kind) in enumerate(zip(methods, kinds, strict=True))
    }
    accuracies = {name: [1 - loss / 4 for loss in values] for name, values in losses.items()}
    result = answer(comparison(losses))
    assert result.method == named(losses, accuracies)
    better = any(kind in ("better", "best") for kind in kinds)
    assert result.conclusion is (Conclusion.BETTER if better else Conclusion.KEEP)
    assert result.seeds == 5


def test_of_methods_that_are_better_the_best_mean_is_named_and_the_others_listed():
    found = answer(
        comparison({"dropout": BASE, "spatial": moved(-0.05, seed=1), "pi": moved(-0.09, seed=2)})
    )
    assert (found.method, found.better) == ("pi", ("spatial", "pi"))
    assert found.time_ratio == pytest.approx(7 / 6)
    assert found.memory_ratio == 1


def test_a_method_that_is_worse_before_correction_is_not_kept():
    losses = {
        "dropout": BASE,
        "none": [a + b for a, b in zip(BASE, (0.02, 0.001, 0.03, 0.01, 0.01), strict=False)],
    }
    losses |= {name: moved(0.0001, seed=9) for name in ("spatial", "gaussian", "blocks")}
    found = answer(comparison(losses))
    assert found.method == "dropout"
    assert found.difference is None


@pytest.mark.parametrize("seeds", [1, 2])
def test_of_fewer_than_three_seeds_nothing_is_concluded(seeds):
    found = answer(comparison({"dropout": BASE[:seeds], "none": moved(-0.1)[:seeds]}))
    assert (found.conclusion, found.method, found.seeds) == (Conclusion.NOTHING, None, seeds)


def test_a_method_one_of_whose_runs_failed_is_not_named():
    made = comparison(
        {"dropout": BASE, "spatial": moved(-0.05, seed=1), "pi": moved(-0.09, seed=2)}
    )
    row = made.rows[2]
    dead = replace(row.records[4], status="stopped: the loss is not finite", scores={})
    broken = replace(made, rows=(*made.rows[:2], replace(row, records=(*row.records[:4], dead))))
    found = answer(broken)
    assert (found.method, found.incomplete) == ("spatial", ("pi",))
    assert found.better == ("spatial", "pi")


def test_without_a_finished_run_of_the_baseline_nothing_is_concluded():
    made = comparison({"dropout": BASE, "none": moved(-0.05)})
    dead = tuple(replace(run, status="crashed: x", scores={}) for run in made.rows[0].records)
    found = answer(replace(made, rows=(replace(made.rows[0], records=dead), made.rows[1])))
    assert (found.conclusion, found.method) == (Conclusion.NOTHING, None)


def test_a_comparison_of_one_method_has_no_answer():
    assert answer(comparison({"dropout": BASE})).conclusion is Conclusion.NOTHING


def test_where_neither_dropout_nor_none_is_compared_the_first_method_is_the_baseline():
    found = answer(comparison({"spatial": BASE, "blocks": moved(-0.05)}))
    assert (found.baseline, found.method) == ("spatial", "blocks")


@pytest.mark.parametrize(
    ("scores", "main"), [(of_values, "test_rmse"), (of_language, "test_perplexity")]
)
def test_less_error_wins_where_the_main_score_is_an_error(scores, main):
    found = answer(rescored(comparison({"dropout": BASE, "none": moved(-0.05)}), scores))
    assert (found.score, found.method) == (main, "none")
    found = answer(rescored(comparison({"dropout": BASE, "none": moved(0.05)}), scores))
    assert (found.score, found.method) == (main, "dropout")


def test_a_plan_of_ones_own_can_win():
    plan = Plan(rule("convs.*", Bernoulli(rate=0.15)))
    made = design(("dropout", "mine"), plans=(("mine", plan),), seeds=5)
    (setting,) = made.settings("mine")
    runs = [
        synthetic.record(made.setup("mine", setting, seed), loss, 1 - loss / 4)
        for seed, loss in enumerate(moved(-0.05))
    ]
    own = Row(method="mine", trials=(), setting=setting, records=tuple(runs))
    base = synthetic.row(made, "dropout", BASE)
    found = answer(replace(comparison({"dropout": BASE}), rows=(base, own)))
    assert found.method == "mine"
    assert found.record == min(runs, key=lambda run: run.scores["validation_nll"]).id
