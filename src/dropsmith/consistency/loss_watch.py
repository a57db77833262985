"""Warnings where training does not go through the loss that a consistent model returns.

The objective's term is in that loss and nowhere else. A trainer that computes a loss of its own
from the scores, or that calls parts of the model and never the model, trains without the term.
"""

import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dropsmith.batches import tensors_in

PATIENCE = 3
"""Updates of the parameters, or backward passes, before a warning."""

LONG_PATIENCE = 10
"""Backward passes before a warning where no update of the parameters is seen.

Gradients of scores may be looked at without training; but not every update is seen.
"""

_SAMPLED = 8
"""Parameters by which an update is seen, at most."""

_ADVICE = (
    "  train on the loss that the model returns, model(..., labels=...).loss; a Trainer of "
    "transformers does unless it has a compute_loss or a compute_loss_func of its own\n"
    "  class weights and label smoothing are given here: consistent(..., class_weights=[1.0, 5.0])"
)


class _Step:
    """A training step whose loss and outputs are watched.

    Args:
        parameters: of the model, which an update changes.

    Attributes:
        before: their values, once a gradient came through the outputs; None until then.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.before: tuple[float, ...] | None = None

    def note_output(self, gradient: Tensor) -> None:
        """A gradient comes to an output; that of the loss, if there is one, has come before."""
        if self.before is None:
            self.before = _values_of(self.parameters)

    def was_updated(self) -> bool:
        """Say whether the parameters have changed since that gradient."""
        return self.before != _values_of(self.parameters)


def _values_of(parameters: list[nn.Parameter]) -> tuple[float, ...]:
    """The sums of the last parameters that lie whole in this process; fused optimisers count no
    versions.
    """
    whole = [p.detach() for p in parameters if type(p.data) is Tensor and p.numel()]
    return tuple(float(p.sum(dtype=torch.float64)) for p in whole[-_SAMPLED:])


class LossWatch:
    """Looks at the first training steps until the loss gets a gradient, and warns if none does.

    A step counts against the trainer where a backward pass came through the outputs and not through
    the loss: forwards without a backward pass, such as those that only look at the model, do not.
    """

    def __init__(self) -> None:
        self.over = False
        self.step: _Step | None = None
        self.elsewhere = self.updates = 0

    def watch(self, model: nn.Module, loss: Tensor, output: Any) -> None:
        """Look at one more step.

        Args:
            model: the root.
            loss: that the model returns.
            output: the rest of what it returns.
        """
        if not loss.requires_grad:
            return
        if self.step is not None and self.step.before is not None:
            self.elsewhere += 1
            self.updates += self.step.was_updated()
        if self.updates < PATIENCE and self.elsewhere < LONG_PATIENCE:
            self.step = _Step([p for p in model.parameters() if p.requires_grad])
            loss.register_hook(self._note_loss)
            for tensor in tensors_in(output):
                # Hooks on scores that are put off would make them.
                if type(tensor) is Tensor and tensor.requires_grad and tensor is not loss:
                    tensor.register_hook(self.step.note_output)
            return
        self.over, self.step = True, None
        warnings.warn(
            f"the objective's term is not trained on: in {self.elsewhere} steps gradients came "
            "from the model's scores, and none from the loss that the consistent model returned\n"
            + _ADVICE,
            stacklevel=2,
        )

    def _note_loss(self, gradient: Tensor) -> None:
        self.over, self.step = True, None


class CallWatch:
    """Warns where a consistent model gets gradients and is never called itself.

    Until its first training forward a hook on each parameter counts backward passes.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.counts: Counter[int] = Counter()
        self.handles: list[RemovableHandle] = [
            parameter.register_post_accumulate_grad_hook(self.note)
            for parameter in parameters
            if parameter.requires_grad and parameter.is_leaf
        ]

    def note(self, parameter: Tensor) -> None:
        """A parameter has got a gradient."""
        self.counts[id(parameter)] += 1
        if self.counts[id(parameter)] < PATIENCE or not self.handles:
            return
        self.end()
        warnings.warn(
            f"the objective's term is not trained on: in {PATIENCE} backward passes parts of the "
            "consistent model got gradients, and the model itself was never called\n"
            "  call model(..., labels=...) and train on its loss; or make the part that is called "
            "consistent, consistent(model.net, ...)",
            stacklevel=2,
        )

    def end(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
