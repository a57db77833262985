"""How much the term of attention varies that LR-Drop estimates from a share of the queries.

The model is all-MiniLM-L6-v2 under dropout of 0.1; the batches are the first of RTE and of CoLA,
by length and so of little padding. Both views of a batch are made once, and the term is estimated
in 64 steps, each with queries of its own. The mean is compared with the term of all queries.

`python -m benchmarks.attention_fraction --data DIR [--smoke]`, from the root of the repository.
The folder holds `cola` and `rte`.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from benchmarks._harness import ROOT
from benchmarks._results import environment_of, free_path

from dropsmith.files import json_text, write_text
from dropsmith.objectives import LRDrop
from dropsmith.passes import Views, views
from dropsmith.tasks import Batch, Task, find_task, group_by_length, with_model

FRACTIONS = (1 / 2, 1 / 4, 1 / 8, 1 / 16)
ROWS, RATE, STEPS, SEED = 16, 0.1, 64, 0


def made_views(name: str, place: Path) -> tuple[Task, Batch, Views]:
    """The task, a batch, and its two views."""
    task = with_model(find_task(name), "minilm", find_task(name).load(place))
    data = task.load(place)
    batch = group_by_length(data.train).batch(1, seed=SEED, batch_size=ROWS)
    torch.manual_seed(SEED)
    model = task.model(data).train()
    task.plan("dropout", RATE).install(model, batch.columns, seed=SEED)
    with torch.no_grad():
        return task, batch, views(model, batch.columns, reads=LRDrop().reads)


def estimates(task: Task, pair: Views, fraction: float, steps: int) -> Iterator[float]:
    """The term of attention in each step."""
    objective = LRDrop(hidden=0, attention_fraction=fraction)
    with torch.no_grad():
        for step in range(steps):
            yield float(objective.terms(replace(pair, step=step), task.loss)["attention"].value)


def row(name: str, place: Path, steps: int) -> dict[str, Any]:
    """What one task gave."""
    task, batch, pair = made_views(name, place)
    (whole,) = estimates(task, pair, 1.0, 1)
    shares = []
    for fraction in FRACTIONS:
        values = list(estimates(task, pair, fraction, steps))
        spread, mean = stdev(values) / whole, fmean(values) / whole
        shares.append({"fraction": fraction, "mean": mean, "deviation": spread})
        print(f"{name}, {fraction:.4f} of the queries: {mean:.3f} ± {spread:.3f} of the term")
    return {
        "name": name,
        "tokens": int(batch.columns["input_ids"].shape[1]),
        "shares": shares,
    }


def main() -> None:
    """Measure both tasks, and write what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attention_fraction")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smoke", action="store_true", help="two steps, nothing written")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row(name, asked.data, 2 if asked.smoke else STEPS) for name in ("cola", "rte")]
    if asked.smoke:
        return
    now, device = datetime.now(UTC), torch.device("cpu")
    path = free_path("attention_fraction", device, ROOT / "results" / "benchmarks", now)
    values = {
        "format": "dropsmith.attention-fraction",
        "version": 1,
        "time": now.isoformat(timespec="seconds"),
        "rows": ROWS,
        "rate": RATE,
        "steps": STEPS,
        "environment": environment_of(device),
        "tasks": rows,
    }
    write_text(path, json_text(values))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
