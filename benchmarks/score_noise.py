"""How much of a plan's score on `digits` is the plan, and how much the seed it was trained with.

One plan over many seeds against many plans over one: here several plans of the space, drawn at
random, each with several seeds, which tells both and gives an interval.

`python -m benchmarks.score_noise [--smoke]`, from the root of the repository. It goes on where it
was stopped.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from benchmarks._harness import ROOT
from benchmarks._results import environment_of
from benchmarks._trained import FEW, TOKENS, Job, space, trained

from dropsmith.pattern_search import ConvSpace, ScoreNoise, score_noise
from dropsmith.plans import Plan


def drawn(of: ConvSpace, count: int) -> list[Plan]:
    """Different plans of the space, each as likely as any, drawn from seed 0."""
    plans = list(dict.fromkeys(of.plan(tokens) for tokens in of.all_tokens()))
    order = np.random.default_rng(0).permutation(len(plans))
    return [plans[index] for index in order[:count]]


def main(arguments: Iterable[str] | None = None) -> None:
    """Train what is missing, and write what it says."""
    asked = _parser().parse_args(None if arguments is None else list(arguments))
    tokens, epochs = (FEW, 1) if asked.smoke else (TOKENS, None)
    count, seeds = (3, 2) if asked.smoke else (asked.plans, asked.seeds)
    plans = drawn(space(tokens), count)
    jobs = [[Job(plan, seed, epochs) for seed in range(seeds)] for plan in plans]
    rows = trained(
        [job for own in jobs for job in own], asked.work / "digits.jsonl", asked.processes
    )
    scores = [[rows[job.id]["score"] for job in own] for own in jobs]
    whole = [own for own in scores if None not in own]
    found = score_noise(whole)
    _write(asked.out, found, whole, len(scores) - len(whole))


def _write(out: Path, found: ScoreNoise, scores: list[list[float]], failed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / "score-noise-on-digits.json"
    values = {
        "format": "dropsmith.score-noise",
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": "digits",
        "score": "validation log-likelihood of an image",
        "failed": failed,
        "found": asdict(found) | {"seeds_for_a_fifth": found.seeds_for(0.2)},
        "scores": scores,
        "environment": environment_of(torch.device("cpu")),
    }
    path.write_text(json.dumps(values, indent=1) + "\n")
    print(
        f"of the variance of a score {found.share:.0%} is the seed's "
        f"({found.low:.0%} to {found.high:.0%}), from {found.plans} plans × {found.seeds} seeds"
    )
    print(f"written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score_noise")
    parser.add_argument("--plans", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="3 plans, 2 seeds, one epoch")
    work, out = ROOT / "runs" / "search", ROOT / "results" / "search"
    parser.add_argument("--work", type=Path, default=work, help="folder of what is gone on from")
    parser.add_argument("--out", type=Path, default=out, help="folder for the result")
    return parser


if __name__ == "__main__":
    main()
