"""One training step: some views of a batch, the objective's terms, and AdamW."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import TrainingError
from dropsmith.tasks import Split, Task
from dropsmith.terms import Mean, Terms
from dropsmith.train._setup import Setup
from dropsmith.train.checkpoint import write
from dropsmith.train.evaluate import on_device
from dropsmith.train.length import learning_rate
from dropsmith.train.order import rows_at
from dropsmith.train.state import State
from dropsmith.views import views


@dataclass(frozen=True)
class Stepper:
    """Takes the steps of a run.

    Args:
        setup: the run's.
        task: what the loss is.
        train: the training examples.
        accelerator: says where to compute, and goes backward.
    """

    setup: Setup
    task: Task
    train: Split
    accelerator: Any

    def take(self, state: State, steps: int, folder: Path) -> Mean:
        """Make step `state.step + 1` of `steps`, and return its task loss.

        Raises:
            TrainingError: the loss or its gradient is not finite. The weights are those from
                before the step, and the batch is kept in `folder`.
        """
        step, budget = state.step + 1, self.setup.budget
        batch = self._batch(step)
        device, half = self.accelerator.device.type, self.setup.precision == "bf16"
        with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            terms, loss = self._forward(state.model, batch, step)
        state.optimizer.zero_grad()
        self.accelerator.backward(loss)
        longest = float("inf") if budget.clip is None else budget.clip
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), longest)
        if not (loss.isfinite() and norm.isfinite()):
            raise _not_finite(step, terms, norm, batch, folder)
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, budget)
        state.optimizer.step()
        state.step = step
        return terms["task"].detach()

    def _batch(self, step: int) -> dict[str, Tensor]:
        rows = rows_at(
            step,
            seed=self.setup.seed,
            batch_size=self.setup.budget.batch_size,
            examples=len(self.train),
        )
        return on_device(self.train.rows(rows), self.accelerator.device)

    def _forward(
        self, model: nn.Module, batch: dict[str, Tensor], step: int
    ) -> tuple[Terms, Tensor]:
        objective = self.setup.objective
        count = objective.views_at(step)
        quiet = tuple(view for view in objective.quiet if view < count)
        share = objective.share if count > 1 else 1.0
        made = views(model, batch, count, quiet=quiet, share=share)
        terms = objective.terms(made, self.task.loss)
        return terms, objective.total(terms, step)


def _not_finite(
    step: int, terms: Terms, norm: Tensor, batch: dict[str, Tensor], folder: Path
) -> TrainingError:
    path = folder / f"step_{step}.safetensors"
    write(path, batch)
    values = ", ".join(f"{name} {float(term.detach().value):g}" for name, term in terms.items())
    return TrainingError(
        f"the loss or its gradient is not finite at step {step}\n"
        f"  terms: {values}; norm of the gradient: {float(norm):g}\n"
        f"  the batch is kept in {path}\n"
        "  try a lower learning rate"
    )
