"""How long the first runs of the documents take, on a machine without anything of the project.

`python -m benchmarks.first_runs [--folder DIR] [--out DIR]`, from the root of the repository: makes
a new virtual environment, installs the project into it as the README says, and runs the scripts
that the README names. Wall time is that of this machine with whatever else it does; time of
processors is of all processes that a command started, those that outlive it included (Linux).
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from benchmarks._results import environment_of, free_path

from dropsmith.workers import cores

ROOT = Path(__file__).resolve().parent.parent

VENV, PIP, PYTHON = "python3 -m venv .venv", ".venv/bin/pip", ".venv/bin/python"

BASE, EXTRA = "-c constraints.txt .", "-c constraints.txt .[transformers]"

RUNS = (
    ("a table of texts", "examples/own_data.py texts"),
    ("a folder of images", "examples/own_data.py images"),
    ("a table of numbers", "examples/own_data.py numbers"),
)
TRAINER = ("R-Drop in a Trainer, with its curve", "examples/with_trainer.py --curve r_drop.png")

_SUBREAPER = 36
"""The number of Linux's option by which a process gets its descendants that lose their parent."""


@dataclass(frozen=True)
class Timed:
    """What a command took.

    Args:
        seconds: by the clock.
        processor_seconds: of all of its processes.
    """

    seconds: float
    processor_seconds: float


def main() -> None:
    """Install, run, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_runs")
    parser.add_argument("--folder", type=Path, help="for the environment; a temporary one if none")
    out = ROOT / "results" / "benchmarks"
    parser.add_argument("--out", type=Path, default=out, help="folder for the result")
    args = parser.parse_args()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        values = measure(folder)
    now = datetime.now(UTC)
    path = free_path("first_runs", torch.device("cpu"), args.out, now)
    values = {"format": "dropsmith.first-runs", "version": 1} | {
        "time": now.isoformat(timespec="seconds"),
        "environment": environment_of(torch.device("cpu")) | {"processors": cores()},
        **values,
    }
    path.write_text(json.dumps(values, indent=1) + "\n")
    print(f"written: {path}")


def measure(folder: Path) -> dict[str, object]:
    """The times of both installs and of all runs, and how busy the machine was."""
    load = os.getloadavg()[0]
    made = timed(VENV.split(), folder)
    base = timed([PIP, *install(BASE)], folder)
    install_base = Timed(
        made.seconds + base.seconds, made.processor_seconds + base.processor_seconds
    )
    runs = [run(name, script, folder) for name, script in RUNS]
    extra = timed([PIP, *install(EXTRA)], folder)
    runs.append(run(*TRAINER, folder))
    return {
        "load": [load, os.getloadavg()[0]],
        "install": asdict(install_base),
        "install_transformers": asdict(extra),
        "runs": runs,
    }


def install(words: str) -> list[str]:
    """The arguments of pip: nothing from its cache, and the project by its place."""
    places = words.replace("constraints.txt .", f"{ROOT}/constraints.txt {ROOT}")
    return ["install", "--quiet", "--no-cache-dir", *places.split()]


def run(name: str, script: str, folder: Path) -> dict[str, object]:
    """What a script of the documents took."""
    file, *options = script.split()
    took = timed([PYTHON, str(ROOT / file), *options], folder)
    return {"name": name, "command": f"python {script}", **asdict(took)}


def timed(command: list[str], folder: Path) -> Timed:
    """Run a command to its end, with all the processes that it leaves; exit where it fails."""
    print(f"$ {' '.join(command)}", flush=True)
    begin, before = time.monotonic(), spent()
    done = subprocess.run(command, cwd=folder, env=environment(), check=False)
    seconds = time.monotonic() - begin
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    if done.returncode:
        sys.exit(f"it ended with {done.returncode}")
    print(f"{seconds:.1f} s, {spent() - before:.1f} s of processors", flush=True)
    return Timed(round(seconds, 1), round(spent() - before, 1))


def spent() -> float:
    """Seconds that processors worked for all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def environment() -> dict[str, str]:
    """The variables without those of the environment that this runs in."""
    own = ("PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS")
    return {name: value for name, value in os.environ.items() if name not in own}


if __name__ == "__main__":
    main()
