"""Recipes where a task can stand: compared over seeds, their sites listed, their run predicted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compare.workers import pretend, spread_here
from dropsmith.compare import runs
from dropsmith.compare.stored_records import model_sha256
from recipes.texts import language_folder

PI, FRATERNAL = "penn-treebank/pi-lstm", "penn-treebank/fraternal-lstm"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    language_folder(folder)
    return folder


def hashed(job, tell):
    """A pretended record that says which model it is of, as a real one does."""
    environment = {"model_sha256": model_sha256(job.setup)}
    return replace(pretend(job, tell), environment=environment)


@pytest.fixture
def setups(monkeypatch):
    """Runs are a pretence; their setups are listed."""
    made = []

    def spread(work, jobs, processes, libraries=()):
        made.extend(job.setup for job in jobs)
        yield from spread_here(hashed, jobs, processes)

    monkeypatch.setattr(runs, "spread", spread)
    return made


@pytest.mark.slow
def test_recipes_of_a_task_are_the_rows_of_a_comparison_over_seeds(run, data, setups):
    line = f"compare {PI},{FRATERNAL} --data {data} --seeds 2 --limit 50"
    code, out, _ = run(f"{line} --json")
    assert code == 0
    names = [row["method"] for row in json.loads(out)["methods"]]
    assert names == ["pi-lstm", "fraternal-lstm"]
    assert [(setup.method, setup.seed) for setup in setups] == [
        *(("pi-lstm", 0), ("pi-lstm", 1), ("fraternal-lstm", 0), ("fraternal-lstm", 1))
    ]
    assert {setup.limit for setup in setups} == {50}
    command = f"dropsmith compare {PI},{FRATERNAL} --seeds 2 --limit 50"
    page = Path("runs/penn-treebank/report.html")
    assert command in page.read_text()
    assert run(f"report runs/penn-treebank --data {data}")[0] == 0
    assert command in page.read_text()
    assert len(setups) == 4
    run(line.replace("--seeds 2", "--seeds 3"))
    assert [setup.seed for setup in setups[4:]] == [2, 2]


def test_the_runs_are_those_that_train_makes(run, data, setups):
    run(f"compare {PI} --data {data} --seeds 1 --limit 50")
    _, out, err = run(f"train {PI} --data {data} --limit 50 --json")
    assert json.loads(out)["config"]["method"] == "pi-lstm"
    assert "read from disk" in err


def test_the_sites_of_a_recipe_are_its_models_with_what_its_plan_drops(run, data):
    code, out, _ = run(f"sites {PI} --data {data} --json")
    assert code == 0
    patterns = {site["name"]: site["pattern"] for site in json.loads(out)}
    assert any(pattern and "rate=" in pattern for pattern in patterns.values())
    _, out, _ = run(f"sites {PI} --data {data}")
    assert "plan" in out.splitlines()[1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"compare {PI} --with r-drop --trials 2", "fixes --with, --trials"),
        (f"compare {PI},{PI}", "different recipes of one task"),
        (f"compare {PI},sst2/nothing", "no recipe"),
        ("compare digits --preset cpu", "--preset belongs to recipes"),
        ("sites digits --preset cpu", "--preset belongs to recipes"),
        (f"sites {PI} --model a:b", "fixes --model"),
        (f"sites {PI} --preset papr", "did you mean 'paper'"),
        (f"predict {PI} --set rate=0.1", "fixes --set"),
        ("predict digits --preset cpu", "--preset belongs to recipes"),
    ],
)
def test_mistakes_end_in_a_sentence(run, line, says):
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert says in err


def test_predict_of_a_recipe_that_has_no_single_items_names_its_own_command(run, data):
    code, _, err = run(f"predict {PI} --data {data} --limit 50")
    assert code == 2
    assert f"dropsmith train {PI} --samples 50" in err
