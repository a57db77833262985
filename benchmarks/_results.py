"""What a benchmark found: a table for people and one JSON file for each run."""

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from benchmarks._measure import Measured, quartiles
from rich.console import Console
from rich.table import Table

from dropsmith import __version__
from dropsmith.train.environment import commit, processor

if TYPE_CHECKING:
    from benchmarks._harness import Outcome

WIDTH = 118
"""Columns that a table needs, whatever a terminal or a file says it has."""

Earlier = dict[tuple[str, str], float]
"""Median seconds by comparison and way."""


def show(outcome: "Outcome", earlier: Earlier) -> None:
    """Print one comparison."""
    comparison = outcome.comparison
    table = Table(title=_key(outcome), title_justify="left")
    table.add_column("way", no_wrap=True)
    heads = ["median", "quartiles", "ratio", "quartiles", "target", "peak memory"]
    for head in heads + (["earlier"] if earlier else []):
        table.add_column(head, justify="right", no_wrap=True)
    for one in outcome.measured:
        target = (comparison.targets or {}).get(one.name)
        before = earlier.get((_key(outcome), one.name))
        cells = _cells(one, target)
        table.add_row(*cells, *([_time(before) if before else "–"] if earlier else []))
    console = Console()
    Console(width=max(console.width, WIDTH)).print(table)


def save(
    case: str,
    outcomes: Sequence["Outcome"],
    device: torch.device,
    rounds: int,
    folder: Path,
    clock: str = "wall",
) -> Path:
    """Write `case_device_date.json` and return its path; a second run of a day gets a number."""
    now = datetime.now(UTC)
    path = free_path(case, device, folder, now)
    values = {
        "format": "dropsmith.benchmark",
        "version": 1,
        "case": case,
        "time": now.isoformat(timespec="seconds"),
        "rounds": rounds,
        "clock": clock,
        "command": _asked(sys.argv[1:]),
        "environment": environment_of(device),
        "comparisons": [_comparison(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(values, indent=1) + "\n")
    return path


def free_path(case: str, device: torch.device, folder: Path, now: datetime) -> Path:
    """A path in the folder, which is made, that no result of the day has taken."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{case}_{device.type}_{now.date().isoformat()}"
    path, number = folder / f"{stem}.json", 2
    while path.exists():
        path, number = folder / f"{stem}_{number}.json", number + 1
    return path


def _asked(words: list[str]) -> list[str]:
    """What decides the numbers: where they were written to is the affair of one machine."""
    if "--out" not in words:
        return words
    at = words.index("--out")
    return words[:at] + words[at + 2 :]


def read(path: Path) -> Earlier:
    """The medians of an earlier run."""
    values = json.loads(path.read_text())
    if values.get("format") != "dropsmith.benchmark":
        raise SystemExit(f"{path} is no result of a benchmark")
    return {
        (one["key"], way["name"]): way["median_seconds"]
        for one in values["comparisons"]
        for way in one["ways"]
    }


def _comparison(outcome: "Outcome") -> dict[str, Any]:
    comparison = outcome.comparison
    return {
        "key": _key(outcome),
        "name": comparison.name,
        "threads": comparison.threads,
        "baseline": outcome.measured[0].name,
        "ways": [_way(one, (comparison.targets or {}).get(one.name)) for one in outcome.measured],
    }


def _way(one: Measured, target: float | None) -> dict[str, Any]:
    low, middle, high = quartiles(one.seconds)
    return asdict(one) | {
        "median_seconds": middle,
        "quartile_seconds": [low, high],
        "ratio": quartiles(one.ratios)[1],
        "target": target,
    }


def _cells(one: Measured, target: float | None) -> list[str]:
    low, middle, high = quartiles(one.seconds)
    less, ratio, more = quartiles(one.ratios)
    within = "–" if target is None else f"≤ {target:g} {'✓' if ratio <= target else '✗'}"
    return [
        one.name,
        _time(middle),
        f"{_time(low)}–{_time(high)}",
        f"{ratio:.3f}",
        f"{less:.3f}–{more:.3f}",
        within,
        f"{one.peak_bytes / 1e6:.1f} MB",
    ]


def _key(outcome: "Outcome") -> str:
    return f"{outcome.comparison.name} · {_threads(outcome.comparison.threads)}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def environment_of(device: torch.device) -> dict[str, Any]:
    """Device, versions and commit, as JSON values."""
    cuda = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "device": device.type,
        "gpu": cuda,
        "cpu": processor(),
        "cores": torch.get_num_threads(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "dropsmith": __version__,
        "commit": commit(Path(__file__).parent),
        **{name: _version(name) for name in ("torch", "numpy", "triton")},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
