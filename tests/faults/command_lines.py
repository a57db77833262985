"""Command lines with words that nobody should type: each ends in a sentence and an exit code."""

import io
import os
import random
import traceback
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import typer

from compare.workers import spread_here
from dropsmith.cli import main
from dropsmith.cli._app import app
from dropsmith.compare import runs
from faults.inputs import KINDS
from faults.tally import Hang, Tally, time_limit

WORDS = (
    *("", " ", "0", "1", "2", "-1", "0.5", "1e400", "-inf", "nan", "9" * 400, "2147483648"),
    *(
        "0x10",
        "true",
        "None",
        "none",
        "dropout",
        "r-drop",
        "digits",
        "tiny",
        "quick",
        "a,b",
        "1,,2",
    ),
    *(
        "1,,2",
        ",",
        "=",
        "rate=",
        "=0.3",
        "rate=0.3",
        "rate=nan",
        "rate=[/]",
        "alpha=-1",
        "rate=1e400",
    ),
    *("x" * 300, "[red]", "[/]", "[link=x]y[/link]", "é\u202eß", "a\nb", "\x1b[31m", "'\"`$()"),
    *("<b>&", "%s{}", "missing/file.json", "/dev/null", "/proc/self/nothing", ".", "file.txt"),
    *("empty", "pipe", "folder", "run", "plan.json", "table.csv", "pictures", "journal:", "hf://"),
    *("journal:file.txt", "journal:folder", "sqlite:///folder", "sqlite:///file.txt", "hf://a"),
    *("postgresql://", "mysql://a/b", "study?a=#b%20.db", "ray:", "serial", "local", "random"),
    *("tpe", "conv", "sequence", "asha", "median", "bf16", "fp16"),
)
"""Words for any argument and any value of an option. All paths lie in the folder of the run."""

_SECONDS = 240.0

COSTLY = {"compare", "train", "search", "predict"}


def type_lines(count: int, folder: Path, seed: int = 0, watch: Any = None) -> Tally:
    """Run so many command lines in this process, each in a folder of files to point at.

    Args:
        count: of the lines.
        folder: that they are run in.
        seed: of the words.
        watch: is called after each.
    """
    _fill(folder)
    tally, lines = Tally(), lines_of(random.Random(f"lines {seed}"))
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(runs, "spread", spread_here)
        for _ in range(count):
            words = next(lines)
            outcome = _outcome(words)
            tally.outcomes[outcome.partition(":")[0]] += 1
            if outcome.partition(":")[0] not in ("read", "refused"):
                tally.faults.append(f"dropsmith {words!r}\n    {outcome}")
            if watch is not None:
                watch()
    return tally


def lines_of(rng: random.Random) -> Iterator[list[str]]:
    """Command lines without end: of every command and of every option that it has."""
    command_group = typer.main.get_command(app())
    commands: dict[str, Any] = command_group.commands  # pyright: ignore[reportAttributeAccessIssue]
    while True:
        name = rng.choice(list(commands))
        options = [p for p in commands[name].params if p.param_type_name == "option"]
        arguments = [p for p in commands[name].params if p.param_type_name == "argument"]
        words = [name]
        for argument in arguments:
            if argument.required or rng.random() < 0.5:
                words += [rng.choice(("digits", "digits", "run", *WORDS))]
        for option in rng.sample(options, min(len(options), rng.choice((1, 1, 2, 3)))):
            words += [rng.choice(option.opts)]
            words += [] if option.is_flag else [rng.choice(WORDS)]
        if name in COSTLY and "--budget" not in words:
            words += ["--budget", "tiny"]
        if name == "search":
            words += [] if "--executor" in words else ["--executor", "serial"]
            words += [] if "--trials" in words else ["--trials", "1"]
        if name == "compare":
            words += [] if "--with" in words else ["--with", "none"]
            words += [] if "--seeds" in words else ["--seeds", "1"]
        yield words if rng.random() > 0.02 else words[: rng.randrange(len(words) + 1)]


def _outcome(words: Sequence[str]) -> str:
    output = io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output), time_limit(_SECONDS):
            main(words)
    except SystemExit as end:
        code = end.code
    except Hang:
        return f"hang: {traceback.format_exc()[-500:]}"
    except BaseException:
        return f"traceback: {traceback.format_exc()[-1500:]}"
    else:
        return "no exit code: main returned"
    text = output.getvalue()
    if "Traceback" in text:
        return f"traceback: printed: {text[-1500:]}"
    if code not in (0, 1, 2):
        return f"exit code: {code!r}, {text[-300:]}"
    return "read" if code == 0 else "refused" if text.strip() else f"silent: exit code {code}"


def _fill(folder: Path) -> None:
    (folder / "folder").mkdir(parents=True)
    (folder / "file.txt").write_text("some text\n")
    (folder / "empty").touch()
    for name in ("plan", "table", "png"):
        KINDS[name].make(folder)
    KINDS["configuration of a run"].make(folder / "run")
    os.mkfifo(folder / "pipe")
