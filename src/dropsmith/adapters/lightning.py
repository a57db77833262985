"""The step of the masks in the checkpoints of Lightning's Trainer."""

import warnings
from typing import Any

from dropsmith.errors import MissingExtra
from dropsmith.noise import noise_of

try:
    from lightning import Callback, LightningModule, Trainer
except ImportError:
    raise MissingExtra("dropsmith.adapters.lightning", "lightning", "lightning") from None

_KEY = "dropsmith"


class CarryStep(Callback):
    """A callback that stores the step of the masks, so that a resumed run continues from it.

    `Trainer(callbacks=[CarryStep()])`, for a module that is the model or contains it.

    >>> CarryStep().state_key
    'CarryStep'
    """

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Store the step in the checkpoint."""
        checkpoint[_KEY] = noise_of(pl_module).state_dict()

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Set the step from the checkpoint."""
        noise = noise_of(pl_module)
        if _KEY in checkpoint:
            noise.load_state_dict(checkpoint[_KEY])
            return
        noise.weights_loaded = False
        warnings.warn(
            "this checkpoint was written without CarryStep: masks and schedules continue from step "
            f"{noise.step}\n  say where they were: ds.step(model, number of training forwards)",
            stacklevel=2,
        )
