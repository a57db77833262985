"""`dropsmith search` as a person types it, with children that are really trained, if briefly."""

import json
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from compare.workers import pretend
from dropsmith.compare import TUNING_SEED, runs
from dropsmith.learn import Searches
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.record import Record
from dropsmith.workers import Done

pytestmark = pytest.mark.slow

BEST = Path("runs/search-digits")
SHORT = "search digits --budget 1 --limit 60 --executor serial"


@pytest.fixture
def made(monkeypatch):
    """Runs of the comparison afterwards are made in this process by a pretence, and listed."""
    setups = []

    def spread(work, jobs, processes, libraries=()):
        for index, job in enumerate(jobs):
            setups.append(job.setup)
            yield Done(index, pretend(job, lambda share: None))

    monkeypatch.setattr(runs, "spread", spread)
    return setups


def test_it_tries_plans_prints_the_best_and_leaves_plan_page_and_study(run):
    code, out, err = run(f"{SHORT} --trials 3 --sampler random")
    assert code == 0
    folder = Path("runs/search-digits")
    found = Searches.load(folder)
    assert len(found.runs[0].finished) == 3
    assert Plan.load(folder / "plan.json") == found.best.plan
    assert f"{found.best.score:.4f}" in out
    assert "runs/search-digits/plan.json" in out
    assert "report.html" in out
    assert (folder / "report.html").exists()
    assert re.search(r"1 of 3 trials, \d:\d\d:\d\d left; trial 0: validation NLL", err)
    assert "the best so far" in err
    tested = [Record.load(path) for path in (folder / "children").glob("*.json")]
    assert not [name for one in tested for name in one.scores if name.startswith("test")]


def test_the_same_command_again_trains_nothing_and_more_trials_go_on(run):
    run(f"{SHORT} --trials 2 --sampler random --json")
    _, first, err = run(f"{SHORT} --trials 2 --sampler random --json")
    assert err == ""
    _, more, err = run(f"{SHORT} --trials 3 --sampler random --json")
    assert "3 of 3 trials" in err
    assert not re.search(r"2 of 3 trials.*; trial", err)
    assert json.loads(first)["searches"][0]["trials"] == 2
    assert json.loads(more)["searches"][0]["trials"] == 3


def test_json_is_all_there_is_on_standard_output(run):
    _, out, _ = run(f"{SHORT} --trials 2 --sampler random --json --out here")
    found = json.loads(out)
    assert found["task"] == "digits"
    assert Plan.from_json(found["plan"]) == Plan.load("here/plan.json")
    assert found["retrained"] is None
    assert found["searches"][0] | {"score": None} == {
        "sampler": "random",
        "seed": 0,
        "trials": 2,
        "finished": 2,
        "stopped": 0,
        "failed": 0,
        "score": None,
    }


def test_the_best_plan_is_held_against_others_on_seeds_that_were_not_searched_on(run, made):
    code, out, _ = run(f"{SHORT} --trials 2 --sampler random --retrain-seeds 2")
    assert code == 0
    plan = Plan.load("runs/search-digits/plan.json")
    own = [run for run in made if run.method == "learned" and run.seed < TUNING_SEED]
    assert [(setup.plan, setup.seed, setup.score_test) for setup in own] == [
        (plan, 0, True),
        (plan, 1, True),
    ]
    assert {(setup.limit, setup.budget.epochs) for setup in made} == {(60, 1)}
    assert {"none", "dropout", "learned"} == {setup.method for setup in made}
    tried = [run for run in made if run.method == "learned" and run.seed >= TUNING_SEED]
    assert [run.plan for run in tried[::2]] == list(Searches.load(BEST).finalists(3))
    assert TUNING_SEED not in {run.seed for run in tried}
    assert "learned" in out
    assert "has the least validation loss with 2 new seeds" in " ".join(out.split())
    assert Path("runs/search-digits/retrained/comparison.json").exists()
    assert 'id="retrained"' in Path("runs/search-digits/report.html").read_text()


def test_what_it_is_held_against_may_be_named(run, made):
    line = f"{SHORT} --trials 1 --sampler random --retrain-seeds 1 --retrain-with spatial,blocks"
    code, out, _ = run(line)
    assert code == 0
    assert {"spatial", "blocks", "learned"} == {setup.method for setup in made}
    assert "blocks" in out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--retrain-seeds 1 --retrain-with blokcs", "did you mean 'blocks'"),
        ("--retrain-seeds 1 --retrain-with locked", "has no place for locked noise"),
        ("--retrain-with blocks", "give its number of seeds: --retrain-seeds"),
    ],
)
def test_what_it_cannot_be_held_against_is_said_before_the_search(run, made, options, says):
    code, _, err = run(f"{SHORT} --trials 1 --sampler random {options}")
    assert code == 2
    assert says in err
    assert not Path("runs/search-digits").exists()


def test_a_search_after_a_comparison_leaves_that_on_the_page(run, made):
    run(f"{SHORT} --trials 1 --sampler random --retrain-seeds 2")
    trained = len(made)
    code, out, _ = run(f"{SHORT} --trials 2 --sampler random --json")
    assert code == 0
    assert len(made) == trained
    assert json.loads(out)["retrained"] is not None
    assert 'id="retrained"' in Path("runs/search-digits/report.html").read_text()


def test_children_step_as_they_are_told_and_the_page_says_how(run):
    code, _, _ = run(f"{SHORT} --trials 1 --sampler random --batch-size 30 --learning-rate 0.002")
    assert code == 0
    budget = Searches.load(BEST).problem.config["budget"]
    assert (budget["batch_size"], budget["learning_rate"]) == (30, 0.002)
    assert "--batch-size 30 --learning-rate 0.002" in (BEST / "report.html").read_text()


def test_rules_of_ones_own_stand_beside_what_is_searched(run):
    own = Plan(rule("hidden.input", Bernoulli(rate=0.5)))
    own.save("mine.json")
    code, _, _ = run(f"{SHORT} --trials 1 --sampler random --plan mine.json --out here")
    assert code == 0
    assert Plan.load("here/plan.json").rules[:1] == own.rules
    code, _, err = run(f"{SHORT} --trials 1 --sampler random --out here")
    assert code == 2
    assert "differ from this one in plan" in err


def test_report_writes_the_page_of_a_search_again_and_fills_a_document(run):
    run(f"{SHORT} --trials 2 --sampler random --out here")
    page = Path("here/report.html")
    first = page.read_text()
    page.unlink()
    Path("card.md").write_text("<!-- here --><!-- /here -->")
    code, out, _ = run("report here --into card.md")
    assert code == 0
    assert page.read_text() == first
    assert "| size |" in Path("card.md").read_text()
    assert "The best plan has validation NLL" in out
    assert json.loads(run("report here --json")[1])["task"] == "digits"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--sampler contoller", "did you mean 'controller'"),
        ("--executor loacl", "did you mean 'local'"),
        ("--pruner medain", "did you mean 'median'"),
        ("--space cnov", "did you mean 'conv'"),
        ("--budget soon", "tiny, quick, full or a number of epochs"),
        ("--precision bf6", "did you mean 'bf16'"),
        ("--storage mysql://here", "a study cannot be stored at"),
        ("--data /no/such/place", "no file or folder /no/such/place"),
    ],
)
def test_what_cannot_be_done_ends_in_a_sentence_and_two(run, options, says):
    code, out, err = run(f"search digits --limit 60 {options}")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert says in err
    assert "Traceback" not in err


def test_a_model_that_has_no_space_is_refused(run):
    code, _, err = run("search python-docs --limit 64 --trials 1")
    assert code == 2
    assert "no space of plans fits" in err


def test_trials_that_all_fail_end_in_a_sentence(run, monkeypatch):
    from dropsmith.errors import TrainingError
    from dropsmith.learn import child

    def failing(*args, **named):
        raise TrainingError("the loss is not finite at step 3\n  terms: task nan")

    monkeypatch.setattr(child, "train", failing)
    code, out, err = run(f"{SHORT} --trials 2 --sampler random")
    assert (code, out) == (2, "")
    assert "trial 0: failed: TrainingError: the loss is not finite at step 3" in err
    assert "none of 2 trials has a score" in err


def test_an_interrupt_says_how_to_go_on_and_the_same_command_does(run, tmp_path):
    line = [sys.executable, "-m", "dropsmith", *SHORT.split(), "--trials"]
    with subprocess.Popen(
        [*line, "99"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, as a test run may be, has its children ignore interrupts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as begun:
        assert begun.stderr is not None
        next(said for said in begun.stderr if said.startswith("2 of 99 trials"))
        begun.send_signal(signal.SIGINT)
        rest = begun.stderr.read()
    assert begun.returncode == 130
    assert "of 99 trials, which are kept" in rest
    assert "the same command continues from here" in rest
    assert "Traceback" not in rest
    code, _, err = run(f"{SHORT} --trials 4")
    assert code == 0
    assert not re.search(r"1 of 4 trials.*; trial", err)
    assert len(Searches.load(tmp_path / "runs/search-digits").runs[0].finished) >= 4
