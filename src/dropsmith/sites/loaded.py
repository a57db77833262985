"""Weights that come back from a checkpoint without the step that their masks depend on."""

import warnings
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.sites.noise import Noise


class Loaded:
    """A hook that notes when weights are loaded before the first training step."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise

    def __call__(self, module: nn.Module, keys: Any) -> None:
        self.noise.loaded = self.noise.step == 0


def watch_loading(model: nn.Module, noise: Noise) -> RemovableHandle:
    """Note from now on when weights are loaded into the model."""
    return model.register_load_state_dict_post_hook(Loaded(noise))


def warn_if_loaded(noise: Noise) -> None:
    """Say once, as training begins, that nobody has said at which step it goes on."""
    if noise.loaded and noise.step == 0:
        warnings.warn(
            "weights were loaded into a model whose step is 0: if this run goes on with another, "
            "its masks and schedules begin again\n  ds.step(model, number) says where it was; "
            "dropsmith.adapters has what carries it through a trainer's checkpoints",
            stacklevel=4,
        )
    noise.loaded = False
