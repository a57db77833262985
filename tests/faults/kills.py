"""Commands that are killed again and again, each time somewhere else, and run to their end.

The end is then that of a command that nobody killed: the same records, every trial accounted for
once, no file cut short, no process left. Each command is a fork of this process, which has loaded
the library already; most do their runs themselves, and some in worker processes.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from compare.workers import spread_here
from dropsmith.cli import main
from dropsmith.compare import runs
from dropsmith.train import Saving

_TIMES = {"seconds", "processor_seconds", "peak_memory_bytes", "environment", "began", "worker"}
"""Fields that differ from run to run."""

_PATIENCE = 20.0
"""Seconds after which the processes of a killed command are gone."""

_WITH_WORKERS = 0.1
"""The share of commands whose runs are in worker processes."""

MODULES = "modules.txt"
"""The file with the names of the modules that a command has loaded."""

_LONGEST = 600.0
"""Seconds after which a command hangs."""


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Args:
        words: that follow `dropsmith`.
        results: the part of its folder that two runs have in common.
    """

    words: str
    results: Callable[[Path], Any]


def _records(folder: Path) -> dict[str, Any]:
    """All JSON files that a command left, without times; those of trials by what they tried."""
    files = sorted(folder.rglob("*.json"))
    return {str(path.relative_to(folder)): _stable(json.loads(path.read_text())) for path in files}


def _stable(value: Any) -> Any:
    """A value without times, and of the trials of a search those that have a score, in order."""
    if isinstance(value, dict):
        return {
            key: _trials(field) if key == "trials" and isinstance(field, list) else _stable(field)
            for key, field in value.items()
            if key not in _TIMES
        }
    return [_stable(item) for item in value] if isinstance(value, list) else value


def _trials(trials: list[Any]) -> list[Any]:
    if not all(isinstance(trial, dict) and "tokens" in trial for trial in trials):
        return _stable(trials)
    scored = [trial for trial in trials if trial.get("score") is not None]
    return [(trial["asked"], trial["tokens"], trial["score"]) for trial in scored]


COMMANDS: dict[str, Command] = {
    "train": Command("train digits --budget 8 --limit 400 --out out", _records),
    "search": Command(
        "search digits --budget 1 --limit 60 --trials 5 --sampler random --executor serial "
        "--out out",
        _records,
    ),
    "compare": Command(
        "compare digits --with none,dropout --seeds 2 --trials 2 --budget 1 --limit 60 --out out",
        _records,
    ),
}
NAMES = tuple(COMMANDS)


@dataclass
class Kills:
    """Counts of kills and of ends, and each fault with the seed that shows it."""

    kills: int = 0
    ends: int = 0
    faults: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"kills": self.kills, "ends": self.ends, "faults": self.faults[:100]}


def kill_commands(
    count: int,
    folder: Path,
    seed: int = 0,
    names: Sequence[str] = NAMES,
    watch: Callable[[], None] | None = None,
) -> Kills:
    """Kill commands so many times in all, and compare each end with one that nobody killed.

    Args:
        count: of the kills.
        folder: for the files of the commands.
        seed: of the times.
        names: of the commands.
        watch: is called after each kill.
    """
    rng, tally = random.Random(f"kills {seed}"), Kills()
    folder.mkdir(parents=True)
    expected: dict[str, tuple[Any, float]] = {}
    while tally.kills < count:
        name = names[tally.ends % len(names)]
        if name not in expected:
            _preload(COMMANDS[name], folder / f"{name} first")
            expected[name] = _run_whole(COMMANDS[name], folder / f"{name} whole")
        _run_killed(name, expected[name], folder / "killed", rng, count, tally, watch)
        shutil.rmtree(folder / "killed")
    return tally


def _preload(command: Command, folder: Path) -> None:
    """Load here what a command loads late, so that its forks need not."""
    _run_whole(command, folder)
    for name in (folder / MODULES).read_text().split():
        with suppress(Exception):  # one that only runs, or only under another name
            import_module(name)


def _run_whole(command: Command, folder: Path) -> tuple[Any, float]:
    start = time.monotonic()
    code, text = _end(_start(command, folder, False), folder)
    assert code == 0, text
    return command.results(folder), time.monotonic() - start


def _run_killed(
    name: str,
    expected: tuple[Any, float],
    folder: Path,
    rng: random.Random,
    count: int,
    tally: Kills,
    watch: Callable[[], None] | None,
) -> None:
    command, (results, seconds) = COMMANDS[name], expected
    workers = rng.random() < _WITH_WORKERS
    times: list[float] = []
    while tally.kills < count and len(times) < 8:
        process = _start(command, folder, workers)
        times.append(rng.uniform(0.05, 1.1) * seconds * (5 if workers else 1))
        if _wait(process, times[-1]) is not None:
            break
        case = f"{name}, workers: {workers}, killed at {times}"
        _kill(process, rng.random() < 0.5, case, tally)
        tally.kills += 1
        if watch is not None:
            watch()
        _check_files(folder, case, tally)
    code, text = _end(_start(command, folder, workers), folder)
    tally.ends += 1
    case = f"{name}, workers: {workers}, killed at {times}"
    if code != 0 or "Traceback" in text:
        tally.faults.append(f"{case}: exit code {code}: {text[-1500:]}")
    elif command.results(folder) != results:
        tally.faults.append(f"{case}: another end")
    if leftover := [str(p) for p in folder.rglob("*") if ".partial" in p.name]:
        tally.faults.append(f"{case}: leaves {leftover}")


def _start(command: Command, folder: Path, workers: bool) -> int:
    """The number of a process that runs a command in a folder, with its output in a file there."""
    folder.mkdir(parents=True, exist_ok=True)
    process = os.fork()
    if process:
        return process
    code: Any = 99
    loaded = set(sys.modules)
    try:
        os.setsid()
        os.chdir(folder)
        output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        if not workers:
            runs.spread = spread_here
            Saving.due = _due
        main(command.words.split())
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        Path(MODULES).write_text("\n".join(set(sys.modules) - loaded))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 99)


def _due(saving: Saving, step: int, seconds: float) -> bool:
    """A checkpoint is due so often that most kills come after one."""
    return step % 5 == 0


def _wait(process: int, seconds: float) -> int | None:
    """The exit code of a process; None where it has not ended after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def _end(process: int, folder: Path) -> tuple[int | None, str]:
    code = _wait(process, _LONGEST)
    if code is None:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return code, (folder / "output.txt").read_text()


def _kill(process: int, group: bool, case: str, tally: Kills) -> None:
    """Kill a command, alone or with all its processes, which are gone soon after."""
    children = psutil.Process(process).children(recursive=True)
    if group:
        os.killpg(os.getpgid(process), signal.SIGKILL)
    else:
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    _, alive = psutil.wait_procs(children, timeout=_PATIENCE)
    for orphan in alive:
        tally.faults.append(f"{case}: an orphan is left: {orphan.cmdline()}")
        orphan.kill()


def _check_files(folder: Path, case: str, tally: Kills) -> None:
    for path in folder.rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError as error:
            tally.faults.append(f"{case}: {path.name} is cut short: {error}")
