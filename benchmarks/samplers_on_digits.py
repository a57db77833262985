"""Sampler against sampler on real scores, without luck.

Every plan of a small space is trained once on `digits`. Each sampler then searches that table from
many seeds, so that what is compared is not one lucky search with another.

`python -m benchmarks.samplers_on_digits [--smoke]`, from the root of the repository. It goes on
where it was stopped.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks._harness import ROOT
from benchmarks._results import environment_of
from benchmarks._sampler_picture import picture
from benchmarks._trained import FEW, TOKENS, Job, done, space, table, trained, whole_lines

from dropsmith.pattern_search import (
    SAMPLERS,
    BestScores,
    Controller,
    Curves,
    Learning,
    Sampler,
    Space,
    Tokens,
    random_order,
    replay,
    space_from_json,
)
from dropsmith.record import config_id
from dropsmith.workers import Tell, spread

SHUFFLED, REPEATING = "random order", "controller, may repeat"
ROWS = (*SAMPLERS, REPEATING, SHUFFLED)


@dataclass(frozen=True)
class Search:
    """One search over the table: a row of the result, and a seed."""

    row: str
    seed: int
    trials: int
    space: dict[str, Any]
    table: tuple[tuple[Tokens, float], ...]

    @property
    def key(self) -> str:
        """What its line in the file is found by."""
        return f"{self.row} {self.seed} {self.trials}"


def made(row: str, space: Space, seed: int) -> Sampler:
    """The sampler of a row."""
    if row == REPEATING:
        return Controller(space, seed=seed, learning=Learning(distinct=0))
    return SAMPLERS[row](space, seed=seed)  # pyright: ignore[reportCallIssue]


def search(job: Search, tell: Tell) -> BestScores:
    """The best score after each trial."""
    torch.set_num_threads(1)
    scores = dict(job.table)
    if job.row == SHUFFLED:
        return random_order(scores, trials=job.trials, seed=job.seed)
    make = partial(made, job.row)
    return replay(space_from_json(job.space), scores, make, trials=job.trials, seed=job.seed)


def searched(
    jobs: Sequence[Search], path: Path, processes: int, say: Callable[[str], None] = print
) -> dict[str, BestScores]:
    """What each search found, by key: what is in the file is read, the rest searched."""
    found: dict[str, BestScores] = {row["key"]: tuple(row["found"]) for row in whole_lines(path)}
    todo = [job for job in jobs if job.key not in found]
    say(f"{len(jobs)} searches asked for, {len(todo)} to make")
    with closing(spread(search, todo, processes)) as events, path.open("a") as file:
        for job, best in done(events, todo, say, every=50):
            found[job.key] = tuple(best)
            file.write(json.dumps({"key": job.key, "found": list(best)}) + "\n")
            file.flush()
    return {job.key: found[job.key] for job in jobs}


def needed(curves: Sequence[Curves]) -> dict[str, Any]:
    """For each row, how many trials it takes to what random search has after all of its own."""
    by_name = {one.name: one for one in curves}
    found: dict[str, Any] = {}
    for goal in ("random", SHUFFLED):
        score = by_name[goal].median[-1]
        found[goal] = {"score": score} | {
            one.name: {
                "median": one.trials_to_reach(score),
                "searches_that_did": sum(n is not None for n in one.each_trials_to_reach(score)),
            }
            for one in curves
        }
    return found


def main(arguments: Iterable[str] | None = None) -> None:
    """Train, search, write and draw."""
    asked = _parser().parse_args(None if arguments is None else list(arguments))
    tokens, epochs = (FEW, 1) if asked.smoke else (TOKENS, None)
    trials, seeds = (8, 3) if asked.smoke else (asked.trials, asked.searches)
    of = space(tokens)
    jobs = {tokens: Job(of.plan(tokens), 0, epochs) for tokens in of.all_tokens()}
    rows = trained(list(jobs.values()), asked.work / "digits.jsonl", asked.processes)
    scores = table(of, rows, jobs)
    todo = [
        Search(row, seed, trials, of.to_json(), tuple(scores.items()))
        for row in ROWS
        for seed in range(seeds)
    ]
    of_table = config_id({"space": of.version, "scores": sorted(scores.items())})
    found = searched(todo, asked.work / f"searches-{of_table}.jsonl", asked.processes)
    curves = [
        Curves(name=row, best_scores=tuple(found[job.key] for job in todo if job.row == row))
        for row in ROWS
    ]
    _write(asked.out, curves, list(rows.values()), len(scores), of)


def _write(out: Path, curves: list[Curves], rows: list[Any], points: int, of: Space) -> None:
    out.mkdir(parents=True, exist_ok=True)
    scores = sorted({row["id"]: row["score"] for row in rows if row["score"] is not None}.values())
    values = {
        "format": "dropsmith.samplers",
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": "digits",
        "score": "validation log-likelihood of an image, one seed for each plan",
        "space": of.version,
        "choices": [choice.to_json() for choice in of.choices],
        "points": points,
        "plans": len(scores),
        "scores": {"best": scores[-1], "median": scores[len(scores) // 2], "worst": scores[0]},
        "needed": needed(curves),
        "curves": [one.to_json() for one in curves],
        "environment": environment_of(torch.device("cpu")),
    }
    path = out / "samplers-on-digits.json"
    path.write_text(json.dumps(values, indent=1) + "\n")
    (out / "samplers-on-digits.svg").write_text(picture(curves, scores[-1]))
    for goal, by_row in values["needed"].items():
        told = (f"{row} {by_row[row]['median']}" for row in ROWS)
        print(f"trials to what {goal} has after all of its own: {', '.join(told)}")
    print(f"written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.samplers_on_digits")
    parser.add_argument("--trials", type=int, default=300, help="of each search")
    parser.add_argument("--searches", type=int, default=100, help="of each sampler")
    parser.add_argument("--processes", type=int, default=2, help="that train and search")
    parser.add_argument("--smoke", action="store_true", help="16 points, one epoch, 3 searches")
    work, out = ROOT / "runs" / "search", ROOT / "results" / "search"
    parser.add_argument("--work", type=Path, default=work, help="folder of what is gone on from")
    parser.add_argument("--out", type=Path, default=out, help="folder for the result")
    return parser


if __name__ == "__main__":
    main()
