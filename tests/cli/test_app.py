"""The command line as a person and a machine meet it: help, errors in a sentence, exit codes."""

import errno
import os
import re
import signal
import subprocess
import sys
import warnings

import pytest

from dropsmith.cli import main
from dropsmith.cli._app import COMMANDS
from dropsmith.compare import METHODS
from dropsmith.files import hold_folder
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.tasks.catalogue import TASKS


def test_help_lists_every_command_and_where_to_begin(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)
    assert "dropsmith compare digits" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_teaches_with_an_example(run, name):
    code, out, _ = run(f"{name} --help")
    assert code == 0
    assert f"Example: dropsmith {name}" in out


def test_the_help_of_compare_names_every_task_and_every_method(run):
    _, out, _ = run("compare --help")
    words = set(re.split(r"[^\w-]+", out.replace("\n", " ")))
    assert words >= (set(TASKS) | set(METHODS)) - {"images", "text", "numbers"}, "those by a path"


def test_the_version_is_printed(run):
    from dropsmith import __version__

    assert run("--version") == (0, f"dropsmith {__version__}\n", "")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("compare digitz", "did you mean 'digits'"),
        ("compare digits --with r-dorp", "did you mean 'r-drop'"),
        ("compare digits --with words", "methods that fit: none, dropout"),
        ("compare digits --seeds 0", "seeds must be a whole number of at least 1"),
        ("compare digits --trials 99", "trials must be from 1 to 6"),
        ("compare digits --budget soon", "tiny, quick, full or a number of epochs"),
        ("compare digits --data /no/such/place", "no file or folder /no/such/place"),
        ("compare digits --model nothing:here", "cannot import 'nothing'"),
        ("compare digits --model json:loads", "json:loads failed: TypeError"),
        ("compare digits --limit 5000", "5000"),
        ("train digits --set alhpa=1 --with r-drop", "did you mean 'alpha'"),
        ("train digits --set rate", "name=number"),
        ("train digits --precision bf6", "did you mean 'bf16'"),
        ("compare digits --precision bf6", "did you mean 'bf16'"),
        ("predict digits --precision bf6", "did you mean 'bf16'"),
        ("train digits --set rate=1.5", "rate must be in [0, 1)"),
        ("audit digits --rate 1.5", "rate must be in [0, 1)"),
        ("audit digits --plan no.json", "cannot read a plan from no.json"),
        ("audit digits --plan no.json --rate 0.2", "--rate or --plan, not both"),
        ("report nothing", "no comparison and no records in nothing"),
    ],
)
def test_what_cannot_be_done_ends_in_a_sentence_and_two(run, line, says):
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["compare", "train", "predict"])
def test_records_that_cannot_be_kept_are_told_before_anything_runs(run, tmp_path, command):
    (tmp_path / "taken").write_text("")
    code, out, err = run(f"{command} digits --out taken")
    assert (code, out) == (2, "")
    assert "records cannot go into taken" in err


@pytest.mark.parametrize("command", ["compare", "train", "predict"])
def test_what_cannot_be_made_leaves_no_folder(run, tmp_path, command):
    (tmp_path / "empty").mkdir()
    code, out, err = run(f"{command} empty")
    assert (code, out) == (2, "")
    assert "error: no pictures in" in err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("command", ["train", "predict", "audit"])
def test_a_plan_that_matches_nothing_is_a_sentence_before_anything_runs(run, tmp_path, command):
    Plan(rule("conv.0", Bernoulli(rate=0.1))).save(tmp_path / "plan.json")
    code, out, err = run(f"{command} digits --plan plan.json")
    assert (code, out) == (2, "")
    assert "error: rule 1 of the plan matched no site" in err
    assert "nearest: " in err
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_help_shows_the_comments_that_a_table_goes_between(run):
    _, out, _ = run("report --help")
    assert "<!-- NAME -->" in " ".join(out.replace("│", " ").split())


@pytest.mark.parametrize(
    ("line", "says", "command"),
    [
        (
            "compare digits --sedes 3",
            "no such option: --sedes (Possible options: ",
            "compare",
        ),
        ("compare digits --precison bf16", "no such option: --precison", "compare"),
        ("compare", "missing argument 'TASK'", "compare"),
        ("compare digits --seeds x", "invalid value for '--seeds': ", "compare"),
        ("compare digits --samples -1", "invalid value for '--samples': ", "compare"),
        ("compare digits --out", "option '--out' requires an argument", ""),
        ("compare digits again", "unexpected extra argument", "compare"),
        ("audit digits --rate much", "invalid value for '--rate': ", "audit"),
        ("comapre digits", "no such command 'comapre'. Did you mean 'compare'", ""),
        ("--sedes", "no such option: --sedes", ""),
    ],
)
def test_what_is_typed_wrong_ends_in_one_sentence_and_two(run, line, says, command):
    code, out, err = run(line)
    assert (code, out) == (2, "")
    sentence, hint = err.splitlines()
    assert sentence.startswith("error: ")
    assert says in sentence
    assert hint.split() == f"what can be typed: dropsmith {command} --help".split()


def test_the_name_alone_shows_the_help(run):
    code, out, err = run("")
    assert (code, err) == (2, "")
    assert out.split() == run("--help")[1].split()


def test_an_interrupt_says_how_to_go_on(run, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("dropsmith.compare.compare", interrupted)
    code, _, err = run("compare digits --with none")
    assert code == 130
    assert "the same command continues from here" in err


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_ends_a_command_in_order(run, monkeypatch, name, code):
    ended = []

    def compare(*args, **kwargs):
        try:
            signal.raise_signal(getattr(signal, name))
        finally:
            ended.append(True)

    monkeypatch.setattr("dropsmith.compare.compare", compare)
    found, _, err = run("compare digits --with none")
    assert (found, ended) == (code, [True])
    assert err.count("the same command continues from here") == 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("name", ["ENOSPC", "EROFS", "EACCES", "ENAMETOOLONG", "EDQUOT", "EIO"])
@pytest.mark.parametrize("step", ["compare.compare", "report.write_page", "tasks.find_task"])
def test_what_the_system_refuses_is_one_sentence_wherever_it_does(run, monkeypatch, name, step):
    number = getattr(errno, name)

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number), "some/[file]")

    monkeypatch.setattr("dropsmith.compare.compare", lambda *args, **kwargs: None)
    monkeypatch.setattr(f"dropsmith.{step}", refuse)
    code, out, err = run("compare digits --with none")
    assert (code, out) == (1, "")
    lines = (line for line in err.splitlines() if "read from disk" not in line)  # no run was made
    first, *others = lines
    assert first == f"error: the system refuses 'some/[file]': {os.strerror(number)}"
    assert all(line.startswith("  ") for line in others)


def test_want_of_memory_is_one_sentence(run, monkeypatch):
    def grow(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("dropsmith.compare.compare", grow)
    code, out, err = run("compare digits --with none")
    assert (code, out) == (1, "")
    assert err.startswith("error: this machine has too little memory\n  ")


@pytest.mark.parametrize("line", ["compare digits --with none", "train digits --limit 20"])
def test_a_folder_in_which_another_process_works_is_refused_in_a_sentence(run, tmp_path, line):
    with hold_folder(tmp_path / "runs"):
        code, out, err = run(f"{line} --budget 1 --out runs")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: another process is making runs in runs",
        "  wait for it, or keep these runs apart: --out DIR",
    ]


@pytest.mark.slow
def test_help_loads_nothing_heavy_beyond_the_library_itself():
    heavy = "matplotlib", "scipy", "sklearn", "transformers", "accelerate", "torchmetrics"
    code = f"import sys, dropsmith.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_pillow_warns_of_in_a_picture_is_not_printed(run):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        run("--help")
        for module in ("PIL.TiffImagePlugin", "PILOT", "torch"):
            warnings.warn_explicit(f"of {module}", UserWarning, "file.py", 1, module=module)
    assert [str(warning.message) for warning in told] == ["of PILOT", "of torch"]


@pytest.mark.parametrize("name", ["\x1b[31mred", "turned\u202e", "bell\x07"])
def test_what_an_error_repeats_does_nothing_to_the_terminal(name, capsys):
    with pytest.raises(SystemExit):
        main(["report", name])
    error = capsys.readouterr().err
    assert ascii(name)[1:-1] in error
    assert name not in error
