"""What the documents show is what the records in results/ say."""

import json
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from compare import synthetic
from dropsmith.compare import Comparison, Row
from dropsmith.plans import library
from dropsmith.plans.library import records_of
from dropsmith.plans.plan import Plan
from learn.small import SPACE, problem, searched, trial

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def refilled(tmp_path_factory):
    """The documents with every table made anew from its records."""
    folder = tmp_path_factory.mktemp("refilled")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copytree(ROOT / "results", folder / "results")
    shutil.copy(ROOT / "README.md", folder)
    script = [sys.executable, str(folder / "docs" / "tables.py")]
    subprocess.run(script, check=True, capture_output=True, cwd=folder)
    return folder


@pytest.mark.slow
def test_every_table_in_the_documents_is_the_one_its_records_give(refilled):
    pages = [refilled / "README.md", *(refilled / "docs").rglob("*.md")]
    drifted = [
        str(page.relative_to(refilled))
        for page in pages
        if page.read_text() != (ROOT / page.relative_to(refilled)).read_text()
    ]
    assert drifted == []


@pytest.mark.slow
def test_pictures_of_results_in_the_documents_are_those_of_the_results(refilled):
    for picture in (refilled / "results").glob("*/*.svg"):
        assert (ROOT / "docs" / "images" / picture.name).read_bytes() == picture.read_bytes()


@pytest.mark.slow
def test_the_pages_that_show_numbers_are_filled(refilled):
    assert "| dropout |" in (refilled / "docs" / "results.md").read_text().replace("**", "")


def script(name):
    """A script of docs/, as a module."""
    spec = spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def of_a_search(tmp_path):
    """A folder in which a search ended and its plan was trained anew with three seeds."""
    plan = SPACE.plan((1, 0, 1))
    problem().bind(tmp_path)
    searched(trial(0, (1, 0, 1), 0.25)).save(tmp_path, problem())
    plan.save(tmp_path / "plan.json")
    made = synthetic.design(("learned",), plans=(("learned", plan),))
    (setting,) = made.settings("learned")
    runs = tuple(synthetic.record(made.setup("learned", setting, seed)) for seed in range(3))
    for run in runs:
        run.save(tmp_path / "retrained")
    row = Row(method="learned", trials=(), setting=setting, records=runs)
    Comparison(task="digits", rows=(row,)).save(tmp_path / "retrained")
    return tmp_path


def test_a_search_in_the_documents_is_its_plans_its_sentences_and_what_they_were_worth(of_a_search):
    text = script("tables").of_search(of_a_search)
    assert "| 1 | 0.2500 controller trial 0 | convs | 2 | – | blocks |" in text.replace("**", "")
    assert "- The best plan has validation NLL 0.2500" in text
    assert "| learned | decay 0.01 |" in text.replace("**", "")


ENVIRONMENT = {"device": "cpu", "gpu": None, "cpu": "a chip", "torch": "2"}


def written(path, **values):
    """A benchmark's file, as the benchmark writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"time": "2026-01-02T03:04:05", "environment": ENVIRONMENT} | values
    path.write_text(json.dumps(values))


def test_a_coordinator_stands_beside_the_cases_of_the_benchmarks(tmp_path):
    step = {"median": 0.0021, "p95": 0.003, "p99": 0.0042}
    one = {"sampler": "random", "storage": "journal", "choices": 27, "workers": 1000}
    one |= {"trials": 10000, "trials_per_second": 81.25, "ask": step, "tell": step}
    one |= {"peak_bytes": 5e8, "stored_bytes": 4e7, "resume_seconds": 12.34}
    files = tmp_path / "benchmarks"
    written(
        files / "search_coordinator_cpu.json", format="dropsmith.search-coordinator", runs=[one]
    )
    way = {"name": "plain", "target": 1.1, "ratio": 1.2, "peak_bytes": 1e6}
    made = [{"key": "a step · 1 thread", "ways": [way]}]
    written(files / "step_cpu.json", case="step", rounds=5, comparisons=made)
    found = script("measured").measured(tmp_path, tmp_path.parent / "page.md")
    assert (
        "| random | 81.2 | 2.1, 4.2 | 2.1, 4.2 | 500 | 40 | 12.3 |" in found["search_coordinator"]
    )
    assert "10,000 trials of 27 choices, 1,000 simulated workers" in found["search_coordinator"]
    assert "| a step · 1 thread | plain | 1.20 (target not met) | ≤ 1.1 | 1.0 |" in found["step"]


def test_what_an_executor_costs_is_said_for_a_trial(tmp_path):
    ray = {"name": "Ray", "target": None, "ratio": 4.0, "peak_bytes": 1e6, "median_seconds": 0.75}
    made = [{"key": "100 empty trials · 1 thread", "name": "100 empty trials", "ways": [ray]}]
    path = tmp_path / "benchmarks" / "search_throughput_cpu.json"
    written(path, case="search_throughput", rounds=5, comparisons=made)
    found = script("measured").measured(tmp_path, tmp_path.parent / "page.md")["search_throughput"]
    assert "| 100 empty trials · 1 thread | Ray | 7.5 | 4.00 |  |" in found


@pytest.mark.parametrize("load", [1.5, 7.2])
def test_first_runs_are_shown_with_their_installs_and_how_busy_the_machine_was(tmp_path, load):
    took = {"seconds": 61.4, "processor_seconds": 90.6}
    runs = [{"name": "a table of texts", "command": "python examples/own_data.py texts", **took}]
    environment = ENVIRONMENT | {"processors": 2}
    path = tmp_path / "benchmarks" / "first_runs_cpu.json"
    values = {"runs": runs, "install": took, "install_transformers": took, "load": [1.0, load]}
    written(path, format="dropsmith.first-runs", **values | {"environment": environment})
    text = script("measured").measured(tmp_path, tmp_path.parent / "page.md")["first-runs"]
    assert "| a table of texts | `python examples/own_data.py texts` | 61 | 91 |" in text
    assert "| installing, once | `pip install -c constraints.txt .` | 61 | 91 |" in text
    assert ("(load up to 7," in text) == (load > 2)


def test_samplers_on_a_table_are_shown_with_their_picture(tmp_path):
    bands = {"0.5": [float(trial) for trial in range(40)]}
    curves = [{"name": name, "searches": 100, "bands": bands} for name in ("controller", "random")]
    when = {"controller": {"median": 12, "searches_that_did": 99}}
    when["random"] = {"median": None, "searches_that_did": 50}
    path = tmp_path / "results" / "search" / "samplers-on-digits.json"
    about = {"plans": 441, "score": "likelihood", "scores": {"best": 2.0}, "curves": curves}
    written(path, needed={"random": when}, **about)
    path.with_suffix(".svg").write_text("<svg/>")
    page = tmp_path / "docs" / "methods" / "page.md"
    text = script("measured").measured(tmp_path / "results", page)["samplers-on-digits"]
    assert "| sampler | after 10 | after 30 | trials to match random |" in text
    assert "| controller | 9.0000 | 29.0000 | 12 (99) |" in text
    assert "| random | 9.0000 | 29.0000 | never (50) |" in text
    assert "](../images/samplers-on-digits.svg)" in text
    other = tmp_path / "README.md"
    text = script("measured").measured(tmp_path / "results", other)["samplers-on-digits"]
    assert "](docs/images/samplers-on-digits.svg)" in text


def test_a_learned_plan_is_shipped_with_the_runs_it_rests_on(of_a_search, tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    script("learned").ship(of_a_search, "small", shelf)
    monkeypatch.setattr(library, "_folder", lambda: shelf)
    assert Plan.load("small") == SPACE.plan((1, 0, 1))
    assert [run.config["seed"] for run in records_of("small")] == [0, 1, 2]


def test_a_plan_that_no_run_was_trained_with_is_not_shipped(of_a_search, tmp_path):
    Plan().save(of_a_search / "plan.json")
    with pytest.raises(SystemExit, match="were not trained with"):
        script("learned").ship(of_a_search, "small", tmp_path)
    assert not (tmp_path / "small.json").exists()


CLEAR = {
    "dropout": [0.30, 0.34, 0.32, 0.312],
    "two-sample": [0.30, 0.33, 0.32, 0.30],
    "r-drop": [0.20, 0.25, 0.21, 0.20],
}


@pytest.fixture
def claims(tmp_path, monkeypatch):
    """The page of one claim, on a comparison in which R-Drop has clearly the least loss."""
    page = script("claims")
    published = sys.modules["published_claims"]

    def made(*evidence, losses=CLEAR):
        synthetic.comparison(losses).save(tmp_path / "small")
        for row in synthetic.comparison(losses).rows:
            tuning = [run for each in row.trials for run in each.records]
            for run in (*row.records, *tuning):
                run.save(tmp_path / "small")
        claim = published.Claim(
            paper="A paper",
            text="It helps.",
            published="1 → 2",
            certainty="quoted",
            beyond="a year",
            evidence=tuple(published.Evidence(**one) for one in evidence),
        )
        monkeypatch.setattr(page, "CLAIMS", (claim,))
        return page.claims_page(tmp_path)

    return made


def against(reference, method="r-drop", folder="small"):
    return {"folder": folder, "method": method, "reference": reference, "metric": "test_nll"}


def test_a_claim_is_judged_by_paired_differences_corrected_among_its_own(claims):
    from scipy.stats import ttest_rel

    text = claims(against("dropout"), against("two-sample"))
    p = [ttest_rel(CLEAR["r-drop"], CLEAR[name]).pvalue for name in ("dropout", "two-sample")]
    assert max(p) < 0.025  # of two, so that Holm's correction leaves both below 0.05
    lines = [line for line in text.splitlines() if line.startswith("| results/small")]
    assert [line.split("|")[6].strip() for line in lines] == ["shows it", "shows it"]
    mean = sum(CLEAR["r-drop"]) / 4 - sum(CLEAR["dropout"]) / 4
    assert f"{mean:+.3f}".replace("-", "−") in lines[0]
    assert "equal example-views" in lines[0]


def test_a_claim_is_contradicted_by_the_same_difference_the_other_way_round(claims):
    assert "shows the opposite" in claims(against("r-drop", method="dropout"))


@pytest.mark.parametrize("wrong", [{"method": "r-drpo"}, {"reference": "dropuot"}])
def test_a_claim_that_names_no_method_is_an_error_with_those_that_were_run(claims, wrong):
    with pytest.raises(ValueError, match=f"names '{next(iter(wrong.values()))}'.*: .*r-drop"):
        claims(against("dropout") | wrong)


def test_what_was_not_run_is_said_to_be_untested(claims):
    assert "Not tested here." in claims(against("dropout", folder="other"))
    assert "Not tested here." in claims(against("dropout", method="lr-drop"))
    few = {name: losses[:2] for name, losses in CLEAR.items()}
    assert "no verdict: too few seeds" in claims(against("dropout"), losses=few)
