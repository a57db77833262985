"""All harnesses in their long form, with their figures in `results/faults/`.

PYTHONPATH=tests .venv/bin/python -m faults
"""

import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from rich.progress import Progress, TaskID

from dropsmith.files import write_text
from dropsmith.train.environment import commit, processor
from faults.command_lines import type_lines
from faults.kills import NAMES, kill_commands
from faults.mutated_inputs import break_inputs
from faults.threaded_calls import call_from_threads

RESULTS = Path(__file__).parents[2] / "results" / "faults"


def run(
    inputs: Annotated[int, typer.Option(min=0, help="The number of broken inputs.")] = 20_000,
    lines: Annotated[int, typer.Option(min=0, help="The number of command lines.")] = 1_000,
    calls: Annotated[int, typer.Option(min=0, help="The number of threaded calls.")] = 10_000,
    kills: Annotated[int, typer.Option(min=0, help="The number of kills.")] = 200,
    commands: Annotated[str, typer.Option(help="The commands that are killed.")] = ",".join(NAMES),
    seed: Annotated[int, typer.Option(min=0, help="The seed of all of them.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder of the figures.")] = RESULTS,
) -> None:
    """Break inputs, type command lines, call from threads and kill commands; write the figures."""
    torch.set_num_threads(1)
    parts: dict[str, Any] = {}
    harnesses = {
        "threaded calls": (calls, lambda folder, watch: call_from_threads(calls, seed, watch)),
        "broken inputs": (inputs, lambda folder, watch: break_inputs(inputs, folder, seed, watch)),
        "command lines": (lines, lambda folder, watch: type_lines(lines, folder, seed, watch)),
        "kills": (
            kills,
            lambda folder, watch: kill_commands(kills, folder, seed, commands.split(","), watch),
        ),
    }
    # Without a thread that refreshes, as processes are forked.
    with Progress(auto_refresh=False) as progress:
        for name, (count, harness) in harnesses.items():
            if not count:
                continue
            task = progress.add_task(name, total=count)
            with TemporaryDirectory() as folder:
                tally = harness(Path(folder) / "run", partial(_advance, progress, task))
            parts[name] = tally.to_json()
    path = _save(parts, seed, out)
    faults = sum(len(part["faults"]) for part in parts.values())
    print(f"{faults} faults; the figures: {path}")
    raise SystemExit(bool(faults))


def _advance(progress: Progress, task: TaskID) -> None:
    progress.advance(task)
    progress.refresh()


def _save(parts: dict[str, Any], seed: int, folder: Path) -> Path:
    now = datetime.now(UTC)
    values = {
        "format": "dropsmith.faults",
        "time": now.isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "seed": seed,
        "commit": commit(Path(__file__).parent),
        "processor": processor(),
        "versions": {"python": sys.version.split()[0], "torch": torch.__version__},
        "parts": parts,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path, number = folder / f"{now.date().isoformat()}.json", 2
    while path.exists():
        path, number = folder / f"{now.date().isoformat()}_{number}.json", number + 1
    write_text(path, json.dumps(values, indent=1) + "\n")
    return path


if __name__ == "__main__":
    typer.run(run)
