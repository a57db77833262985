"""A text is printed as it is, whatever brackets it holds, by every command and in every bar."""

import ast
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.table import Table

import dropsmith
from cli.names import NAMES, UNPRINTABLE
from compare.synthetic import LOSSES, comparison, design, record
from dropsmith.cli import _output, _searches
from dropsmith.cli._output import console, progress_bar
from dropsmith.cli._progress import runs_bar
from dropsmith.cli._trials_bar import trials_bar
from dropsmith.compare import Comparison
from dropsmith.errors import DataError
from dropsmith.pattern_search import Progress
from dropsmith.record import Record
from dropsmith.report import Place
from learn.small import searched, searches, trial

SOURCE = Path(dropsmith.__file__).parent


@pytest.fixture
def terminal(monkeypatch):
    """A stream on which bars are drawn."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return stream


@pytest.fixture
def named():
    """A run with a status or a method of this name."""

    def make(name: str, status: str = "finished") -> Record:
        found = record(design().setup("dropout", {"rate": 0.3}, 0))
        return Record(
            config=found.config | {"method": name},
            scores=found.scores,
            curve=found.curve,
            cost=found.cost,
            environment=found.environment,
            status=status,
        )

    return make


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", ["finished", "crashed"])
def test_a_bar_over_runs_prints_names_and_faults_as_they_are(name, status, named, capsys):
    found = named(name, status if status == "finished" else f"crashed: KeyError: {name}")
    with runs_bar(name, 1) as watch:
        watch(1.0, 1, found)
    printed = capsys.readouterr().err
    assert printed.count(name) == (1 if status == "finished" else 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_bar_on_a_terminal_has_its_title_as_it_is(name, named, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with runs_bar(name, 1) as watch:
        watch(1.0, 1, named("dropout", f"crashed: {name}"))
    with trials_bar(name, 1, name) as watch:
        watch(progress(trial(0, status="failed", why=name)))
    assert terminal.getvalue().count(name) >= 4


TERMS = {"task": 0.69842, "consistency": 0.159, "attention": 0.00123, "states": 12.5}
LOSS = "training loss: task 0.6984, consistency 0.159, attention 0.00123, states 12.5"


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_below_the_bar_of_one_run_are_the_terms_of_its_loss(columns, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    with runs_bar("digits with r-drop", 1) as watch:
        watch(0.5, 1, None, TERMS)
    lines = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", terminal.getvalue()).splitlines()
    assert LOSS in " ".join(" ".join(lines).split())
    assert max(len(part) for line in lines for part in line.split("\r")) <= columns


def test_of_several_runs_and_off_a_terminal_no_terms_are_shown(terminal, monkeypatch, capsys):
    for total in (1, 2):
        with runs_bar("digits", total) as watch:
            watch(0.5, total, None, TERMS)
    assert "task" not in capsys.readouterr().err
    monkeypatch.setattr(sys, "stderr", terminal)
    with runs_bar("digits", 2) as watch:
        watch(0.5, 2, None, TERMS)
    assert "task" not in terminal.getvalue()


@pytest.mark.parametrize(("share", "number"), [(1.98, 1), (2.0, 2), (8.13, 8)])
def test_a_line_counts_whole_runs(share, number, named, capsys):
    with runs_bar("digits", 9) as watch:
        watch(share, 9, named("dropout", "finished"))
    assert capsys.readouterr().err.startswith(f"{number} of 9 runs; ")


def progress(last):
    return Progress(done=1, total=1, running=0, best=None, last_trial=last, seconds_left=None)


@pytest.mark.parametrize("name", NAMES)
def test_a_bar_over_trials_prints_faults_as_they_are(name, capsys):
    with trials_bar("digits", 1, "validation NLL") as watch:
        watch(progress(trial(0, status="failed", why=name)))
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_cells_and_columns_are_texts_as_well(name, capsys):
    table = Table(name)
    table.add_row(name)
    console().print(table)
    console().print(name)
    assert capsys.readouterr().out.count(name) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_comparison_of_such_methods_is_shown(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    whole = comparison(LOSSES)
    rows = tuple(
        replace(row, method=name if row.method == "none" else row.method) for row in whole.rows
    )
    _output.show(Comparison(task=name, rows=rows), tmp_path / "report.html", as_json=False)
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_search_in_a_folder_of_such_a_name_is_shown(name, tmp_path, capsys):
    found = searches(searched(trial(0, score=0.5)))
    _searches.show(found, None, Place(folder=Path(name)), tmp_path / "report.html")
    assert f"{Path(name) / 'plan.json'}" in capsys.readouterr().out


COMMANDS = {
    "compare {0}": "dropsmith.tasks.find_task",
    "train {0}": "dropsmith.tasks.find_task",
    "search {0}": "dropsmith.tasks.find_task",
    "sites {0}": "dropsmith.tasks.find_task",
    "audit {0}": "dropsmith.tasks.find_task",
    "predict {0}": "dropsmith.tasks.find_task",
    "report {0}": "dropsmith.report.runs_in",
}


@pytest.mark.parametrize("name", [name for name in NAMES if " " not in name and name[0] != ":"])
@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize("error", [DataError, OSError], ids=["ours", "the system's"])
def test_an_error_of_every_command_is_printed_as_it_is(line, name, error, run, monkeypatch):
    def fail(*args, **kwargs):
        raise error(f"cannot read {name}\n  {name}")

    monkeypatch.setattr(COMMANDS[line], fail)
    code, out, err = run(line.format(name))
    assert (code, out) == (2 if error is DataError else 1, "")
    assert err.count(name) == 2


@pytest.mark.parametrize("name", [name for name in NAMES if " " not in name])
def test_what_is_typed_wrong_is_repeated_as_it_is(name, run):
    for line in (f"compare digits --{name}", f"compare digits --precision {name}", f"x{name}"):
        code, _, err = run(line)
        assert code == 2
        assert name.partition("=")[0] in err or repr(name)[1:-1] in err


def test_a_name_that_is_no_text_is_printed_by_its_bytes(run):
    assert r"\udcff" in run(f"compare digits --{UNPRINTABLE}")[2]


@pytest.mark.slow
def test_no_other_console_is_made_and_no_column_reads_markup():
    calls = [
        (path.relative_to(SOURCE).as_posix(), node.func.id)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Console", "TextColumn")
        and not any(word.arg == "markup" for word in node.keywords)
    ]
    assert calls == [("train/progress.py", "Console")]  # on which nothing is printed but a bar


def test_a_column_of_rich_stays_what_it_is():
    from rich.progress import BarColumn

    column = BarColumn()
    assert column in progress_bar(console(stderr=True), "{task.description}", column).columns
