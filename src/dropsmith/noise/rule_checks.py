"""Checks of a plan on a model: that its rules ran, and that training begins at its step."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.errors import SiteError
from dropsmith.noise.lookup import Installation
from dropsmith.noise.skipping import may_be_skipped, skipped_layers
from dropsmith.noise.state import Noise
from dropsmith.patterns import Off, TorchDropout


@dataclass(eq=False)
class RuleCheck:
    """The check that every rule of an installation ran, as a call that takes the root."""

    installation: Installation

    def __call__(self, root: nn.Module) -> None:
        check_rules_ran(self.installation, tuple(skipped_layers(root)))


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
                "  if another call uses the rate of that module, name the call: its attention() or "
                "dropout() site is listed by dropsmith.sites(model, batch)"
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
