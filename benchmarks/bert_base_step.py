"""What R-Drop costs on BERT-base's shape with all of its twelve layers: see `transformer_step`.

Exact R-Drop is compared with a plain step on twice the rows, at most 1.03 times is asked; R-Drop
with noise in the upper half only, whose lower half runs once, with a plain step on the same rows,
at most 1.55 times is asked. A call takes seconds, so there are few rounds.
"""

from functools import partial

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from benchmarks.transformer_step import ROWS, TIME, consistent, plain, upper

LAYERS = 12
twelve_plain, twelve = partial(plain, layers=LAYERS), partial(consistent, layers=LAYERS)


def exact(device: torch.device) -> dict[str, Call]:
    """Noise everywhere."""
    return {
        "plain, twice the rows": twelve_plain(2 * ROWS, LAYERS, device),
        "R-Drop": twelve(LAYERS, device),
    }


def cheaper(device: torch.device) -> dict[str, Call]:
    """Noise in the upper half."""
    half = LAYERS // 2
    return {
        "plain, the same rows": twelve_plain(ROWS, half, device),
        "R-Drop, whole views": twelve(half, device),
        "R-Drop, shared trunk": twelve(half, device, upper(LAYERS)),
    }


SIZES = f"BERT-base's shape, {LAYERS} layers, {ROWS} × {TIME} words"
CASE = Case(
    name="bert_base_step",
    tests=("tests/objectives/test_r_drop.py", "tests/passes/test_trunk.py"),
    comparisons=(
        Comparison(name=f"{SIZES}: one step", ways=exact, targets={"R-Drop": 1.03}),
        Comparison(
            name=f"{SIZES}, noise in the upper half: one step",
            ways=cheaper,
            targets={"R-Drop, shared trunk": 1.55},
        ),
    ),
    rounds=3,
)

if __name__ == "__main__":
    main(CASE)
