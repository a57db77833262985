"""A warning for a loss that nobody trains on: the term is in it, and nowhere else."""

import warnings

from torch import Tensor

PATIENCE = 10
"""Steps in which the loss may get no gradient, as where several are added up before `backward`."""


class LossWatch:
    """Counts training steps until a loss has got a gradient, and warns once where none does."""

    def __init__(self) -> None:
        self.steps, self.over = 0, False

    def watch(self, loss: Tensor) -> None:
        """Look at the loss of one more step."""
        if self.over or not loss.requires_grad:
            return
        self.steps += 1
        if self.steps <= PATIENCE:
            loss.register_hook(self._note)
            return
        self.over = True
        warnings.warn(
            f"the loss of a consistent model got no gradient in {PATIENCE} steps: whatever is "
            "trained on, the objective's term is not in it\n"
            "  train on the loss that the model returns: model(..., labels=...).loss.backward()",
            stacklevel=2,
        )

    def _note(self, gradient: Tensor) -> None:
        self.over = True
