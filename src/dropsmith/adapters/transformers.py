"""The step of the masks in the checkpoints of transformers' Trainer."""

import warnings
from typing import Any

from torch import nn

from dropsmith.errors import MissingExtra
from dropsmith.noise import Noise, noise_of

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
    from transformers.trainer_callback import ExportableState
except ImportError:
    raise MissingExtra("dropsmith.adapters.transformers", "transformers", "transformers") from None


class CarryStep(TrainerCallback, ExportableState):
    """A callback that stores the step of the masks, so that a resumed run continues from it.

    `Trainer(model, ..., callbacks=[CarryStep()])`. The step is in `trainer_state.json`, beside
    Trainer's own. Every trainer derived from Trainer can use it.

    >>> CarryStep().state()
    {'args': {}, 'attributes': {'step': 0}}
    """

    def __init__(self) -> None:
        self.noise: Noise | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **arguments: Any,
    ) -> None:
        """Set the step from the checkpoint, if this run resumes from one."""
        assert model is not None
        self.noise = noise_of(model)
        if not state.global_step:
            return
        stateful: dict[str, Any] = state.stateful_callbacks  # pyright: ignore - read from JSON
        attributes_of_step = stateful.setdefault(type(self).__name__, None)
        if attributes_of_step is None:
            self.noise.weights_loaded = False
            warnings.warn(
                f"the checkpoint of step {state.global_step} was written without CarryStep: masks "
                f"and schedules go on from step {self.noise.step}\n"
                "  say where they were: ds.step(model, number of training forwards)",
                stacklevel=2,
            )
        else:
            self.noise.load_state_dict(attributes_of_step["attributes"])

    def state(self) -> dict[str, Any]:
        """The values that Trainer stores with its state."""
        attributes = {"step": 0} if self.noise is None else self.noise.state_dict()
        return {"args": {}, "attributes": attributes}
