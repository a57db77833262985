"""Hooks on the root of a model with noise: a pass begins, and its rules are seen to have run."""

import warnings
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.batches import tensors_in
from dropsmith.errors import SiteError
from dropsmith.noise.forward_pass import in_backward
from dropsmith.noise.lookup import Installation
from dropsmith.noise.skipping import may_be_skipped, skipped_layers
from dropsmith.noise.state import Noise
from dropsmith.patterns import Off, TorchDropout


class EnterRoot:
    """The hook before the root's forward."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise

    def __call__(self, module: nn.Module, args: Any) -> None:
        noise = self.noise
        noise.running = True
        if noise.pass_is_set:
            return
        if in_backward():
            if module.training:
                noise.check_restored()
            return
        if noise.weights_loaded and module.training and not torch.compiler.is_compiling():
            warn_if_loaded(noise)
        noise.begin(module.training, module)


class LeaveRoot:
    """The hook after the root's forward, also after one that failed."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        noise = self.installation.noise
        noise.running = False
        # What runs in compiled code is not counted, and is not run again but compiled for backward.
        if torch.compiler.is_compiling():
            noise.clock.leave()
            return
        if output is None or in_backward():
            return
        if not noise.rules_checked and noise.active(module.training):
            check_rules_ran(self.installation, tuple(skipped_layers(module)))
            noise.rules_checked = True
        if noise.current.may_run_again and torch.is_grad_enabled():
            noise.restore_in_backward(tensors_in(output))


def check_rules_ran(installation: Installation, skipped_prefixes: tuple[str, ...] = ()) -> None:
    """Raise `SiteError` for the first rule of which no site ran.

    Args:
        installation: the rules, and how often their sites have drawn.
        skipped_prefixes: `skipped_layers` of the model.
    """
    counts = installation.noise.draw_counts
    for index, rule in enumerate(installation.rules):
        names = [a.site.name for a in installation.assignments if a.rule is rule]
        certain = [name for name in names if not may_be_skipped(name, skipped_prefixes)]
        # A retuned module may be read instead of called, as Hugging Face attention reads its own.
        silent = (
            isinstance(rule.pattern, Off | TorchDropout) or getattr(rule.pattern, "rate", 1) == 0
        )
        if certain and not silent and not any(counts.get(name) for name in names):
            raise SiteError(
                f"rule {index + 1} of the plan has noise at {', '.join(certain[:3])}, which never "
                f"ran\n  rule: {rule!r}\n"
                "  a module whose settings are read but which is not called drops elsewhere: look "
                "for its attention() or dropout() site with dropsmith.sites(model, batch)"
            )


class NoteLoading:
    """A hook that notes when weights are loaded before the first training step."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise

    def __call__(self, module: nn.Module, keys: Any) -> None:
        self.noise.weights_loaded = self.noise.step == 0


def watch_loading(model: nn.Module, noise: Noise) -> RemovableHandle:
    """Note from now on when weights are loaded into the model."""
    return model.register_load_state_dict_post_hook(NoteLoading(noise))


def warn_if_loaded(noise: Noise) -> None:
    """Say once, as training begins, that nobody has said at which step it goes on."""
    if noise.weights_loaded and noise.step == 0:
        warnings.warn(
            "weights were loaded into a model whose step is 0: if this run goes on with another, "
            "its masks and schedules begin again\n  ds.step(model, number) says where it was; "
            "dropsmith.adapters has what carries it through a trainer's checkpoints",
            stacklevel=4,
        )
    noise.weights_loaded = False
