"""Runs one benchmark: its tests first, then its comparisons, then a table and one JSON file.

`python -m benchmarks.<case> [--device cuda] [--rounds 15] [--clock cpu] [--smoke]
[--against FILE]`, from the root of the repository.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks._measure import CLOCKS, Call, Measured, measure
from benchmarks._results import read, save, show

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Ways to do the same work.

    Args:
        name: what the work is, with its sizes.
        ways: makes a call for each way by name; the first is what the others are compared with.
        threads: of torch, on a CPU.
        targets: the ratio to the first way that a way should not exceed.
        only: the kind of device it is for, where it is too large or says nothing elsewhere.
    """

    name: str
    ways: Callable[[torch.device], dict[str, Call]]
    threads: int = 1
    targets: dict[str, float] | None = None
    only: str | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One benchmark.

    Args:
        name: of its module and its files.
        tests: what must pass before any speed is printed.
        comparisons: what is measured.
        rounds: how often each way is timed.
        elsewhere: whether its work is done in other processes, which this one's clock leaves out.
    """

    name: str
    tests: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    rounds: int = 15
    elsewhere: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one comparison gave."""

    comparison: Comparison
    measured: list[Measured]


def main(case: Case, arguments: Iterable[str] | None = None) -> None:
    """Run a case as the command line asks."""
    asked = _parser(case).parse_args(None if arguments is None else list(arguments))
    device = torch.device(asked.device)
    if asked.clock == "cpu" and device.type != "cpu":
        sys.exit(f"--clock cpu says nothing of work on {device.type}")
    if asked.clock == "cpu" and case.elsewhere:
        sys.exit(f"--clock cpu says nothing of {case.name}, whose work other processes do")
    _check_tests(case)
    rounds = 2 if asked.smoke else asked.rounds
    earlier = read(asked.against) if asked.against else {}
    outcomes = []
    for comparison in case.comparisons:
        if comparison.only not in (None, device.type):
            print(f"left out, for it needs {comparison.only}: {comparison.name}")
            continue
        outcomes.append(_run(comparison, device, rounds, asked.clock))
        show(outcomes[-1], earlier)
    if asked.smoke:
        print("a smoke run: too few rounds to mean anything, nothing written")
        return
    print(f"written: {save(case.name, outcomes, device, rounds, asked.out, asked.clock)}")


def _run(comparison: Comparison, device: torch.device, rounds: int, clock: str) -> Outcome:
    before = torch.get_num_threads()
    torch.set_num_threads(comparison.threads)
    try:
        torch.manual_seed(0)
        calls = list(comparison.ways(device).items())
        return Outcome(comparison=comparison, measured=measure(calls, device, rounds, clock))
    finally:
        torch.set_num_threads(before)


def _check_tests(case: Case) -> None:
    missing = [path for path in case.tests if not (ROOT / path).exists()]
    if missing:
        sys.exit(f"no speed without tests: {', '.join(missing)} is not there")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *case.tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1]
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}\nno speed is printed while the tests of {case.name} fail")
    print(f"tests of {case.name}: {last}")


def _parser(case: Case) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{case.name}")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=case.rounds, help="timings of each way")
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: on a CPU that others use too"
    )
    parser.add_argument("--smoke", action="store_true", help="two rounds, nothing written")
    parser.add_argument("--against", type=Path, help="an earlier result to show beside")
    out = ROOT / "results" / "benchmarks"
    parser.add_argument("--out", type=Path, default=out, help="folder for the result")
    return parser
