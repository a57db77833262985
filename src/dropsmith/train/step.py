"""One training step: some views of a batch, the objective's terms, and the optimiser."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import TrainingError
from dropsmith.files import keep_trying
from dropsmith.passes import (
    Views,
    augmented_views,
    detach_tensors,
    head_of,
    put_off_still,
    putting_off,
    views,
)
from dropsmith.rng import Key, Source, uniform
from dropsmith.tasks import Part, Task
from dropsmith.terms import Mean, Terms
from dropsmith.train._setup import Setup
from dropsmith.train.checkpoint import write
from dropsmith.train.evaluation import on_device
from dropsmith.train.nested_tensors import flatten
from dropsmith.train.state import State

_RESET = 0x7E5E7
"""Part of the keys of resets, which no other draw of a run has."""


@dataclass(frozen=True)
class Stepper:
    """Computes the steps of a run.

    Args:
        setup: of the run.
        task: with the loss.
        train: the training examples.
        accelerator: for the device and the backward pass.
    """

    setup: Setup
    task: Task
    train: Part
    accelerator: Any

    def take(self, state: State, rate: float, folder: Path) -> Mean:
        """Compute step `state.step + 1` at learning rate `rate`, and return its task loss.

        Raises:
            TrainingError: the loss or its gradient is not finite. The weights are those before the
                step, and the batch is saved in `folder`.
        """
        step, budget = state.step + 1, self.setup.budget
        part_batch = self.train.batch(step, seed=self.setup.seed, batch_size=budget.batch_size)
        batch = on_device(part_batch.columns, self.accelerator.device)
        batch |= state.window_state if part_batch.continues and not self._resets_state(step) else {}
        device, half = self.accelerator.device.type, self.setup.precision == "bf16"
        with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            step_views, terms = self._terms(state, batch, step, part_batch.second)
            loss = self.setup.objective.total(terms, step)
        state.optimizer.zero_grad()
        self.accelerator.backward(loss)
        longest = float("inf") if budget.clip is None else budget.clip
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), longest)
        if not (loss.isfinite() and norm.isfinite()):
            raise _not_finite(step, terms, norm, batch, folder)
        for group in state.optimizer.param_groups:
            group["lr"] = part_batch.pace * rate
        state.optimizer.step()
        state.step = step
        state.window_state = dict(detach_tensors(self.task.carry(step_views.outputs[0])))
        means = {name: term.detach() for name, term in terms.items()}
        state.add_other_terms(means)
        return means["task"]

    def _resets_state(self, step: int) -> bool:
        """True if a window starts without the state of the one before, also in a resumed run."""
        chance = self.setup.budget.reset
        if not chance:
            return False
        key = Key.of(self.setup.seed).fold(_RESET, step)
        return float(uniform(Source(key), (1,))) < chance

    def _terms(
        self,
        state: State,
        batch: dict[str, Any],
        step: int,
        second: dict[str, Tensor] | None = None,
    ) -> tuple[Views, Terms]:
        """The views and their terms; a large head is fused with the loss of two or more views.

        With one view, a fused head would save memory but no time.
        """
        objective = self.setup.objective
        if second is not None and objective.views_at(step) > 1:
            second = on_device(second, self.accelerator.device)
            step_views = replace(augmented_views(state.model, batch, second), step=step)
            return step_views, objective.terms(step_views, self.task.loss)
        several = objective.views_at(step) > 1 and self.setup.trunk is None
        name, head = (head_of(state.model) if several else None) or (None, None)
        with putting_off(head):
            step_views = replace(self._views(state.model, batch, step), step=step)
        scores = step_views.logits if head is not None else ()
        terms = self.setup.objective.terms(step_views, self.task.loss)
        if head is not None:
            state.fused_head = name if put_off_still(scores) else None
        return step_views, terms

    def _views(self, model: nn.Module, batch: dict[str, Any], step: int) -> Views:
        objective = self.setup.objective
        count = objective.views_at(step)
        noise_free = tuple(view for view in objective.noise_free if view < count)
        batch_fraction = objective.batch_fraction if count > 1 else 1.0
        reads = objective.reads if count > 1 else None
        trunk = self.setup.trunk if count > 1 else None
        return views(
            model,
            batch,
            count,
            noise_free=noise_free,
            batch_fraction=batch_fraction,
            trunk=trunk,
            reads=reads,
        )


def _not_finite(
    step: int, terms: Terms, norm: Tensor, batch: dict[str, Any], folder: Path
) -> TrainingError:
    path = folder / f"step_{step}.safetensors"
    keep_trying(lambda: write(path, flatten(batch)), path)
    values = ", ".join(f"{name} {float(term.detach().value):g}" for name, term in terms.items())
    return TrainingError(
        f"the loss or its gradient is not finite at step {step}\n"
        f"  terms: {values}; norm of the gradient: {float(norm):g}\n"
        f"  the batch is kept in {path}\n"
        "  try a lower learning rate"
    )
