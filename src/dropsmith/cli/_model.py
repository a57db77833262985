"""The model of a task with a few examples, for sites and audit."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dropsmith.tasks import Part, Task
    from dropsmith.train import Setup

ROWS = 16


def model_and_batch(
    task: "Task", data: Path | None, seed: int = 0
) -> "tuple[nn.Module, Mapping[str, Tensor]]":
    """The model with random weights from a seed, and the first examples."""
    import torch

    examples = task.load(data, None)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = task.model(examples)
    return model.train(), examples.train.rows(slice(0, ROWS))


def load_trained_model(setup: "Setup", run: Path) -> "tuple[nn.Module, Part]":
    """The model of a finished run with its best weights, and the test examples.

    Raises:
        DataError: the folder of the run has no weights, or those of another model.
    """
    import torch

    from dropsmith.errors import DataError
    from dropsmith.run_folder import WEIGHTS, load_weights
    from dropsmith.train import task_and_data

    task, data = task_and_data(setup)
    path = run / WEIGHTS
    if not path.exists():
        raise DataError(
            f"this run has a record, but no weights: {path}\n  to train it anew, add --again"
        )
    with torch.random.fork_rng(devices=[]):
        model = task.model(data)
    load_weights(model, path)
    return model.eval(), data.test
