"""The price of saving: ratios of a step's time by seed, beside what is gained and lost."""

from dataclasses import replace

import pytest

from compare.synthetic import comparison
from dropsmith.compare import prices
from dropsmith.compare.price import clock

LOSSES = {
    "dropout": [0.20, 0.22, 0.24],
    "two-sample": [0.19, 0.22, 0.22],
    "r-drop+every-2": [0.17, 0.18, 0.19],
    "r-drop": [0.15, 0.17, 0.19],
    "fraternal": [0.18, 0.20, 0.21],
    "r-drop+share-0.5": [0.16, 0.16, 0.20],
}
SECONDS = {"dropout": (10, 20, 40), "r-drop": (20, 20, 160), "r-drop+every-2": (15, 30, 40)}
STEPS = {"dropout": 100, "r-drop": 50, "r-drop+every-2": 75}


def timed(found, clocks=("processor_seconds", "seconds"), methods=tuple(LOSSES)):
    """The same comparison with chosen times: on the wall they are all a second."""

    def one(run):
        name, seed = run.config["method"], run.config["seed"]
        own = SECONDS.get(name, (1, 1, 1))[seed] if seed < 3 else 1
        taken = {"processor_seconds": float(own), "seconds": 1.0}
        cost = {k: v for k, v in run.cost.items() if k not in taken}
        cost |= {k: v for k, v in taken.items() if k in clocks or name not in methods}
        return replace(run, cost=cost | {"steps": STEPS.get(name, 10)})

    rows = [replace(row, records=tuple(map(one, row.records))) for row in found.rows]
    return replace(found, rows=tuple(rows))


def test_the_baseline_comes_first_then_each_method_in_full_and_its_cheaper_forms():
    names = [line.method for line in prices(timed(comparison(LOSSES)))]
    assert names == ["dropout", "r-drop", "r-drop+every-2", "r-drop+share-0.5"]


def test_a_steps_time_is_compared_seed_by_seed_and_the_median_taken():
    lines = {line.method: line for line in prices(timed(comparison(LOSSES)))}
    # Of r-drop by seed: 0.4 / 0.1, 0.4 / 0.2, 3.2 / 0.4; of every second step 2, 2, 4 / 3.
    assert lines["r-drop"].to_baseline == pytest.approx(4)
    assert lines["r-drop+every-2"].to_baseline == pytest.approx(2)
    assert lines["r-drop+every-2"].to_full == pytest.approx(0.5)
    assert lines["dropout"].to_baseline is None
    assert lines["r-drop"].to_full is None
    assert lines["r-drop"].seconds == pytest.approx(200 / 3)
    assert lines["r-drop+every-2"].steps == 75


def test_gain_and_loss_are_paired_differences_to_baseline_and_full_method():
    line = prices(timed(comparison(LOSSES)))[2]
    assert line.gain["test_nll"].mean == pytest.approx(-0.04)
    assert line.loss["test_nll"].mean == pytest.approx(0.01)
    assert line.loss["test_nll"].pairs == 3
    assert prices(timed(comparison(LOSSES)))[1].loss == {}


def test_time_is_the_processors_where_all_runs_have_it_and_the_walls_otherwise():
    assert clock(timed(comparison(LOSSES))) == "processor_seconds"
    old = timed(comparison(LOSSES), clocks=("seconds",), methods=("dropout",))
    assert clock(old) == "seconds"
    assert prices(old)[1].to_baseline == pytest.approx((1 / 50) / (1 / 100))


def test_there_is_no_price_where_nothing_is_saved_or_has_run():
    whole = {name: losses for name, losses in LOSSES.items() if "+" not in name}
    assert prices(comparison(whole)) == ()
    never = timed(comparison(LOSSES))
    rows = [replace(row, records=()) if "+" in row.method else row for row in never.rows]
    assert prices(replace(never, rows=tuple(rows))) == ()
    # As the synthetic records are: they do not say how many steps they took.
    assert prices(comparison(LOSSES)) == ()


def test_a_row_that_says_nothing_of_its_costs_is_left_out_and_takes_nothing_from_the_others():
    found = timed(comparison(LOSSES))
    bare = [
        replace(row, records=tuple(replace(run, cost={}) for run in row.records))
        if row.method == "fraternal"
        else row
        for row in found.rows
    ]
    assert prices(replace(found, rows=tuple(bare))) == prices(found)
