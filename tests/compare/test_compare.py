"""A whole comparison with runs that cost nothing, and a real one of a few steps."""

import errno
import json
from dataclasses import replace

import pytest
import torch

from compare.synthetic import TASK, design
from compare.workers import pretend
from dropsmith.compare import TUNING_SEED, Comparison, compare, count, runs
from dropsmith.errors import BusyError
from dropsmith.files import hold_folder, waiting
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.record import Record
from dropsmith.report import findings
from dropsmith.workers import Done


@pytest.fixture
def here(monkeypatch):
    made = []

    def spread(work, jobs, processes, libraries=()):
        made.extend(job.setup for job in jobs)
        return (Done(i, work(job, lambda *news: None)) for i, job in enumerate(jobs))

    monkeypatch.setattr(runs, "spread", lambda *args: iter_of(spread(*args)))
    return made


def iter_of(events):
    yield from events


def by_rate(job, tell):
    """The second setting is the best on validation."""
    found = pretend(job, tell)
    rules = job.setup.plan.rules
    rate = rules[0].pattern.rate if rules else job.setup.budget.weight_decay
    loss = abs(rate - (0.1 if rules else 0.0))
    return replace(found, scores=found.scores | {"validation_nll": loss})


def test_every_method_is_tuned_then_every_seed_run_with_the_chosen_setting(here, tmp_path):
    made = design(("none", "dropout"), seeds=2)
    found = compare(made, tmp_path, make=by_rate)
    assert [row.setting for row in found.rows] == [{"weight_decay": 0.0}, {"rate": 0.1}]
    assert len(here) == count(made) == 2 * (3 * 2 + 2)
    dropout = found.row("dropout")
    assert {run.config["plan"]["rules"][0]["rate"] for run in dropout.records} == {0.1}
    assert [run.config["seed"] for run in dropout.records] == [0, 1]


def test_more_seeds_and_methods_cost_only_what_is_new(here, tmp_path):
    compare(design(("none",), seeds=2), tmp_path, make=by_rate)
    before = len(here)
    compare(design(("none", "dropout"), seeds=3), tmp_path, make=by_rate)
    assert len(here) - before == 1 + (3 * 2 + 3)


def test_the_watch_counts_trials_and_reported_runs_together(here, tmp_path):
    heard = []
    made = design(("none", "dropout"), seeds=2)
    compare(made, tmp_path, make=by_rate, watch=lambda *news: heard.append(news[:2]))
    assert heard[-1] == (16, 16)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


def test_a_saved_comparison_is_read_back_equal(here, tmp_path):
    found = compare(design(), tmp_path, make=by_rate)
    assert Comparison.load(tmp_path) == found


def test_a_method_whose_trials_all_fail_runs_its_usual_setting_and_shows_the_failures(
    here, tmp_path
):
    def failing(job, tell):
        if job.setup.seed > 100:
            return Record(config=job.setup.to_json(), status="stopped: step 1")
        return pretend(job, tell)

    found = compare(design(("dropout",)), tmp_path, make=failing)
    assert found.rows[0].setting == {"rate": 0.3}
    assert len(found.rows[0].failed_records) == 3 * 2


def dies(rate, *, times, counts):
    """`by_rate`, but the tuning runs of one rate go down with their processes so many times."""

    def make(job, tell):
        rules = job.setup.plan.rules
        if job.setup.seed >= TUNING_SEED and rules and rules[0].pattern.rate == rate:
            counts[job.setup.seed] = counts.get(job.setup.seed, 0) + 1
            if counts[job.setup.seed] <= times:
                return Record(config=job.setup.to_json(), status="lost: its process ended")
        return by_rate(job, tell)

    return make


def test_a_worker_that_is_killed_in_tuning_decides_nothing(here, tmp_path):
    counts = {}
    found = compare(design(("dropout",)), tmp_path, make=dies(0.1, times=2, counts=counts))
    assert list(counts.values()) == [3, 3]
    assert found.rows[0].setting == {"rate": 0.1}
    assert found.rows[0].failed_records == ()
    assert not [line for line in findings(found) if "equal terms" in line]


def test_a_setting_that_is_lost_for_good_is_said_and_tried_again_by_the_next_call(here, tmp_path):
    found = compare(design(("dropout", "none")), tmp_path, make=dies(0.1, times=99, counts={}))
    assert found.row("dropout").setting == {"rate": 0.3}
    (said,) = [line for line in findings(found) if "equal terms" in line]
    assert said == (
        "dropout was not tuned on equal terms: 1 of its 3 settings did not run (rate 0.1), "
        "so its setting is chosen among the others. The same command runs them again."
    )
    again = compare(design(("dropout", "none")), tmp_path, make=by_rate)
    assert again.row("dropout").setting == {"rate": 0.1}
    assert not [line for line in findings(again) if "equal terms" in line]


def test_a_method_none_of_whose_settings_could_be_tried_is_said_to_have_its_usual_one(
    here, tmp_path
):
    def crashing(job, tell):
        if job.setup.seed >= TUNING_SEED:
            return Record(config=job.setup.to_json(), status="crashed: KeyError: 'x'")
        return pretend(job, tell)

    found = compare(design(("dropout",)), tmp_path, make=crashing)
    (said,) = [line for line in findings(found) if "equal terms" in line]
    assert "3 of its 3 settings did not run (rate 0.3; rate 0.1; rate 0.5)" in said
    assert "its setting is its usual one, and not chosen" in said


def test_a_setting_that_diverges_was_tried(here, tmp_path):
    def diverging(job, tell):
        if job.setup.seed >= TUNING_SEED and job.setup.plan.rules[0].pattern.rate == 0.5:
            return Record(config=job.setup.to_json(), status="stopped: step 1")
        return by_rate(job, tell)

    found = compare(design(("dropout",)), tmp_path, make=diverging)
    assert not [line for line in findings(found) if "equal terms" in line]


def test_a_second_comparison_in_a_folder_is_refused(here, tmp_path):
    with hold_folder(tmp_path), pytest.raises(BusyError, match="--out DIR"):
        compare(design(), tmp_path, make=by_rate)
    assert here == []


def test_the_comparison_waits_for_the_disk(here, tmp_path, monkeypatch):
    save, failures = Comparison.save, iter([True, True, False])
    monkeypatch.setattr(waiting, "sleep", lambda seconds: None)

    def full(comparison, folder):
        if next(failures):
            raise OSError(errno.ENOSPC, "full")
        return save(comparison, folder)

    monkeypatch.setattr(Comparison, "save", full)
    found = compare(design(("none",)), tmp_path, make=by_rate)
    assert Comparison.load(tmp_path) == found


def test_the_setting_chosen_is_the_best_over_all_tuning_seeds_not_over_the_first(here, tmp_path):
    def lucky(job, tell):
        """The usual rate is best on the first tuning seed, and far off on the second."""
        found, rate = pretend(job, tell), job.setup.plan.rules[0].pattern.rate
        loss = {0.3: 0.1, 0.1: 0.2, 0.5: 0.3}[rate]
        loss += (job.setup.seed == TUNING_SEED + 1) * (rate == 0.3)
        return replace(found, scores=found.scores | {"validation_nll": loss})

    (row,) = compare(design(("dropout",)), tmp_path, make=lucky).rows
    assert row.setting == {"rate": 0.1}
    assert [trial.loss for trial in row.trials] == pytest.approx([0.6, 0.2, 0.3])


def test_a_comparison_of_version_one_had_one_record_a_trial_and_is_still_read(here, tmp_path):
    found = compare(design(tuning_seeds=1), tmp_path, make=by_rate)
    old = found.to_json() | {"version": 1}
    for row in old["rows"]:
        for trial in row["trials"]:
            (trial["record"],) = trial.pop("records")
    (tmp_path / "comparison.json").write_text(json.dumps(old))
    assert Comparison.load(tmp_path) == found


def test_real_runs_in_other_processes_equal_those_made_here(tmp_path):
    budget = replace(TASK.budget, epochs=1)
    made = design(("dropout", "two-sample"), seeds=1, trials=1, budget=budget, limit=100)
    threads = torch.get_num_threads()
    found = compare(made, tmp_path / "there", processes=1)
    for row in found.rows:
        setup = made.setup(row.method, row.setting, 0)
        here = runs.make_record(runs.Job(setup, tmp_path / "here"), lambda *news: None)
        assert here.status == "finished", here.status
        assert row.records[0].scores == here.scores
        assert row.records[0].cost["example_views"] == 100
    torch.set_num_threads(threads)


def test_a_plan_is_run_on_every_seed_and_counted_without_trials(here, tmp_path):
    plan = Plan(rule("convs.*", Bernoulli(rate=0.15)))
    made = design(("dropout", "learned"), seeds=2, plans=(("learned", plan),))
    found = compare(made, tmp_path, make=by_rate)
    assert len(here) == count(made) == (3 * 2 + 2) + 2
    row = found.row("learned")
    assert row.trials == ()
    assert [Plan.from_json(run.config["plan"]) for run in row.records] == [plan, plan]
    assert Comparison.load(tmp_path) == found
