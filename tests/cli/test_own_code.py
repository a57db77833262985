"""Methods, objectives, tasks, samplers and patterns in one file of the user's own."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from compare.workers import pretend, spread_here
from dropsmith.compare import find_method, pick, runs
from dropsmith.plans.plan import Plan
from dropsmith.record import Record
from dropsmith.tasks import find_task
from user_code.files import FILE, line_of, write

NAME = "own_code_of_cli_tests"
SHORT = "--budget 1 --limit 60"
NOTHING, HERE = '{}["nothing"]', '{}["here"]'
PLAN = {
    "format": "dropsmith.plan",
    "version": 2,
    "rules": [
        {
            "sites": "convs.0",
            "pattern": f"{NAME}:Stripes",
            "rate": {"schedule": f"{NAME}:Steps", "first": 0.3},
        }
    ],
}


@pytest.fixture
def own(run, tmp_path, monkeypatch):
    """The command in a folder with the file; runs are made in this process."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(runs, "spread", spread_here)
    write(tmp_path, NAME)
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    yield run
    sys.modules.pop(NAME, None)


@pytest.fixture
def pretended(own, monkeypatch):
    """Runs are a pretence."""
    monkeypatch.setattr(runs, "spread", lambda work, *rest: spread_here(pretend, *rest))
    return own


@pytest.mark.parametrize("name", ["Cosine", "HALF"])
def test_an_objective_is_a_method_with_the_tasks_paired_noise(own, name):
    code, out, _ = own(f"train digits --with {NAME}:{name} --set rate=0.2 {SHORT} --json")
    assert code == 0
    record = Record.from_json(json.loads(out))
    weight = {} if name == "Cosine" else {"weight": 0.5}
    assert record.config["objective"] == {"objective": f"{NAME}:Cosine"} | weight
    assert record.config["method"] == f"{NAME}:{name}"
    assert record.config["plan"] == find_task("digits").plan("dropout", 0.2).for_records()


def test_edited_code_never_returns_old_numbers(own, tmp_path):
    line = f"train digits --with {NAME}:Cosine {SHORT} --json"
    _, first, _ = own(line)
    _, again, err = own(line)
    assert json.loads(again) == json.loads(first)
    assert "the run was read from disk" in err
    sys.modules.pop(NAME)
    write(tmp_path, NAME, FILE.replace("return 1 - torch", "return 2 - 2 * torch"))
    code, out, err = own(line)
    assert (code, out) == (2, "")
    assert "with another version of your own code" in err
    assert "make it anew: --again" in err
    assert "Traceback" not in err
    code, out, _ = own(f"{line} --again")
    assert code == 0
    scores = [json.loads(text)["scores"]["validation_nll"] for text in (first, out)]
    assert scores[0] != scores[1]


def test_numbers_of_an_objective_are_set_and_unknown_ones_refused(own):
    line = f"train digits --with {NAME}:Cosine {SHORT} --json"
    _, out, _ = own(f"{line} --set weight=0.25")
    assert json.loads(out)["config"]["objective"]["weight"] == 0.25
    code, _, err = own(f"{line} --set weigth=0.25")
    assert code == 2
    assert "did you mean 'weight'" in err


@pytest.mark.slow
def test_own_methods_stand_in_a_comparison_and_bring_the_control_along(pretended):
    names = f"none,{NAME}:METHOD,{NAME}:Cosine,{NAME}:Cosine+every-2"
    code, out, _ = pretended(f"compare digits --with {names} --trials 2 --seeds 2 {SHORT} --json")
    assert code == 0
    lines = {line["method"]: line for line in json.loads(out)["methods"]}
    assert list(lines) == [
        "none",
        f"{NAME}:METHOD",
        "two-sample",
        f"{NAME}:Cosine",
        f"{NAME}:Cosine+every-2",
    ]
    assert lines[f"{NAME}:METHOD"]["setting"] in ({"rate": 0.2}, {"rate": 0.4})
    assert lines[f"{NAME}:Cosine"]["to_control"] != {}
    page = Path("runs/digits/report.html").read_text()
    assert f"--with none,{NAME}:METHOD,two-sample,{NAME}:Cosine,{NAME}:Cosine+every-2" in page
    assert "Two views whose scores point the same way" in page
    sys.modules.pop(NAME)
    code, _, _ = pretended("report runs/digits")
    assert code == 0
    assert NAME not in sys.modules  # a record imports nothing
    assert "whose code is not imported for this page" in Path("runs/digits/report.html").read_text()
    code, _, _ = pretended(f"report runs/digits --allow {NAME}")
    assert (
        "Two views whose scores point the same way" in Path("runs/digits/report.html").read_text()
    )


def test_a_plan_names_a_pattern_of_a_module_that_was_allowed_and_imports_none(own):
    line = f"train digits --plan plan.json {SHORT} --json"
    code, _, err = own(line)
    assert code == 2
    assert f"give --allow {NAME}" in err
    assert NAME not in sys.modules
    code, out, _ = own(f"{line} --allow {NAME}")
    assert code == 0
    record = json.loads(out)
    assert record["config"]["plan"]["rules"][0]["pattern"] == f"{NAME}:Stripes"
    assert record["environment"]["code_sha256"]
    Plan.load("plan.json").save("again.json")
    assert json.loads(Path("again.json").read_text()) == PLAN


@pytest.mark.slow
def test_a_task_is_trained_compared_and_shown(pretended):
    code, out, _ = pretended(f"compare {NAME}:TASK --with none,dropout --seeds 1 {SHORT} --json")
    assert code == 0
    assert json.loads(out)["task"] == f"{NAME}:TASK"
    folder = Path(f"runs/{NAME}-TASK")
    assert f"dropsmith compare {NAME}:TASK" in (folder / "report.html").read_text()
    code, out, _ = pretended(f"sites {NAME}:TASK")
    assert code == 0
    assert "convs.0" in out
    sys.modules.pop(NAME)
    pretended(f"report {folder}")
    assert f"give --allow {NAME}" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_sampler_searches_and_its_search_is_read_again(own):
    line = f"search digits {SHORT} --executor serial --trials 2 --sampler {NAME}:Sampler"
    code, out, _ = own(f"{line} --json")
    assert code == 0
    assert json.loads(out)["searches"][0]["sampler"] == f"{NAME}:Sampler"
    assert (Path("runs/search-digits") / f"{NAME}.Sampler-0.search.json").exists()
    assert own("report runs/search-digits")[0] == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"compare digits --with {NAME}:Cosin", "did you mean 'Cosine'"),
        (f"compare digits --with {NAME}:NUMBER", "is no method: it is 3"),
        (f"compare digits --with {NAME}:NoDefault", "cannot be used without arguments"),
        (f"compare digits --with {NAME}:Failing --limit 60", f"{NAME}.py, line {line_of(NOTHING)}"),
        (f"compare digits --with {NAME}:METHOD", "each method tries 3 settings, and"),
        (f"compare digits --with {NAME}:METHOD+every-2", "makes one pass"),
        (f"compare digits --with {NAME}x:Cosine", f"did you mean '{NAME}'"),
        (f"compare {NAME}:NUMBER", "is no task: it is 3"),
        (f"compare {NAME}:LOADS", "loads a list, and no dropsmith.tasks.Data"),
        (f"compare {NAME}:TASKS", "did you mean 'TASK'"),
        (f"search digits --limit 60 --sampler {NAME}:NUMBER", "makes no sampler"),
        (
            f"search digits --limit 60 --sampler {NAME}:no_sampler",
            "makes a value of type ConvSpace",
        ),
        ("compare digits --plan x=plan.json --allow nothing_here", "cannot import 'nothing_here'"),
        (f"compare digits --plan {NAME}:X=plan.json --allow {NAME}", "cannot be called"),
    ],
)
def test_mistakes_end_in_a_sentence_and_two(own, line, says):
    code, out, err = own(line)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert says in err
    assert "Traceback" not in err


def test_what_a_users_code_raises_later_is_said_with_its_line(own):
    code, out, err = own(f"train {NAME}:UNREADABLE --budget 1")
    assert (code, out) == (1, "")
    assert "your own code failed with KeyError: 'here'" in err
    assert f"{NAME}.py, line {line_of(HERE)}" in err
    assert "Traceback" not in err


def test_an_error_that_is_ours_keeps_its_traceback(own, monkeypatch):
    monkeypatch.setattr("dropsmith.cli.sites.find", partial(open, "nothing_here", "no mode"))
    with pytest.raises(TypeError, match="cannot be interpreted"):
        own("sites digits")


def test_reading_the_name_of_an_own_method_gives_equal_methods(own):
    spec = f"{NAME}:Cosine"
    assert find_method(spec).settings == find_method(spec).settings
    assert pick([f" {spec} ", spec], find_task("digits")) == ("two-sample", spec)
