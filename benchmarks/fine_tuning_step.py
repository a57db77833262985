"""A fine-tuning step of a pretrained encoder in batches of any lengths, and by length.

The model is all-MiniLM-L6-v2, the texts are those of CoLA and RTE, 16 rows a step. Each round
takes the next five steps of either kind of batch, so ten rounds are the 50 batches that are sorted
together. The optimiser's part is the same for all and left out. Where the processor has
instructions for bf16, batches by length are also timed in mixed precision.

`python -m benchmarks.fine_tuning_step --data DIR [--clock cpu] [--smoke]`, from the root of the
repository. The folder holds `cola` and `rte`.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call

from dropsmith.objectives import Objective, RDrop, TaskLoss
from dropsmith.passes import views
from dropsmith.tasks import Part, Task, find_task, group_by_length, with_model

ROWS, STEPS, RATE, SEED = 16, 5, 0.1, 0


def comparison(name: str, task: str, objective: Callable[[], Objective], place: Path) -> Comparison:
    """Both kinds of batches on one task, with one objective."""

    def ways(device: torch.device) -> dict[str, Call]:
        tuned = with_model(find_task(task), "minilm", find_task(task).load(place))
        data = tuned.load(place)
        grouped = group_by_length(data.train)
        made = {
            "any lengths": steps(tuned, data.train, objective(), device, place),
            "by length": steps(tuned, grouped, objective(), device, place),
        }
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            made["by length, bf16"] = steps(tuned, grouped, objective(), device, place, bf16=True)
        return made

    is_r_drop = objective is not TaskLoss  # the bars are of R-Drop's step
    targets = {"by length": 0.60, "by length, bf16": 0.42} if is_r_drop else {}
    return Comparison(name=f"{name} on {task}, {ROWS} rows", ways=ways, targets=targets)


def steps(
    task: Task,
    part: Part,
    objective: Objective,
    device: torch.device,
    place: Path,
    *,
    bf16: bool = False,
) -> Call:
    """A call that takes the next steps of a model of its own: forward, loss and backward."""
    torch.manual_seed(SEED)
    model = task.model(task.load(place)).to(device).train()
    task.plan("dropout", RATE).install(model, part.rows(slice(0, 2)), seed=SEED)
    numbers = count(1)

    def call() -> None:
        for _ in range(STEPS):
            number = next(numbers)
            batch = part.batch(number, seed=SEED, batch_size=ROWS).columns
            batch = {name: column.to(device) for name, column in batch.items()}
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                terms = objective.terms(views(model, batch, objective.views_at(number)), task.loss)
                loss = objective.total(terms, number)
            loss.backward()
            model.zero_grad(set_to_none=True)

    return call


def case(place: Path) -> Case:
    """The benchmark on the data of a folder."""
    return Case(
        name="fine_tuning_step",
        tests=("tests/tasks/data/test_length_groups.py", "tests/models/test_minilm.py"),
        rounds=10,
        comparisons=tuple(
            comparison(name, task, objective, place)
            for task in ("cola", "rte")
            for name, objective in (("R-Drop", partial(RDrop, alpha=1.0)), ("dropout", TaskLoss))
        ),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path, required=True)
    known, others = parser.parse_known_args()
    main(case(known.data), others)
