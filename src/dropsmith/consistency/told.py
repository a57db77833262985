"""What trainers read from a model, said while it is consistent so that they count rightly.

The Trainer of transformers sums losses over micro-batches if it believes that the model takes the
number of items, which it guesses from the signature of `forward`. And it counts labels that a
causal model never scores (the first of each row) unless the model names its loss.
"""

from typing import Any

from torch import nn

from dropsmith.consistency.state import Consistent
from dropsmith.consistency.task_loss import LabelledLoss, without_adapters


def set_trainer_attributes(model: nn.Module, state: Consistent) -> None:
    """Say that the loss takes the number of items, and that a causal one shifts its labels."""
    model = without_adapters(model)
    said: dict[str, Any] = {"accepts_loss_kwargs": True}
    causal = isinstance(state.loss, LabelledLoss) and state.loss.problem == "causal"
    if causal and getattr(model, "loss_type", "none of its own") is None:
        said["loss_type"] = "ForCausalLM"
    for name, value in said.items():
        state.told[name] = name in model.__dict__, model.__dict__.get(name)
        model.__dict__[name] = value


def reset_trainer_attributes(model: nn.Module, state: Consistent) -> None:
    """Take back what was said."""
    model = without_adapters(model)
    for name, (was_there, value) in state.told.items():
        model.__dict__.pop(name, None)
        if was_there:
            model.__dict__[name] = value
