"""The noise state and the plan of a model, where it has them."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.errors import NoiseError
from dropsmith.interception import Attachment
from dropsmith.noise.state import ATTRIBUTE, Noise
from dropsmith.plans import ROOT, Assignment, Plan, Rule


def noise_of(model: nn.Module) -> Noise:
    """The noise state of a model, also through a wrapper such as DistributedDataParallel.

    >>> noise_of(nn.Linear(2, 2))
    Traceback (most recent call last):
    dropsmith.errors.NoiseError: this model has no noise of ours: install a plan first
    """
    found = find_noise(model)
    if found is None:
        raise NoiseError("this model has no noise of ours: install a plan first")
    return found


def find_noise(model: nn.Module) -> Noise | None:
    """Like `noise_of`, or None."""
    for module in model.modules():
        found: Any = module.__dict__.get(ATTRIBUTE)
        if found is not None:
            return found
    return None


def step(model: nn.Module, number: int) -> None:
    """Tell a model that training forward `number` was the last, so that noise goes on from there.

    A resumed run whose trainer carries no step of ours calls this once before it goes on.
    """
    noise_of(model).step = number


INSTALLED = "_dropsmith_installed"


@dataclass(eq=False)
class Installation:
    """What is on a model, and what it takes to get it off."""

    rules: tuple[Rule, ...]
    assignments: list[Assignment]
    attachments: list[Attachment]
    noise: Noise
    had_noise: bool
    handles: list[RemovableHandle]


def installation_of(model: nn.Module) -> Installation | None:
    """What is installed on this very module, or None."""
    return model.__dict__.get(INSTALLED)


def installations(model: nn.Module) -> list[tuple[str, Installation]]:
    """What is installed on a model and on the parts of it, each with the name of the part."""
    found = ((name, installation_of(module)) for name, module in model.named_modules())
    return [(name, installation) for name, installation in found if installation is not None]


def name_within(part: str, site: str) -> str:
    """What a site of a part of a model is called in the whole model.

    >>> name_within("module", "head"), name_within("module", "root.dropout()"), name_within("", "a")
    ('module.head', 'module.dropout()', 'a')
    """
    if not part:
        return site
    return part + site[len(ROOT) :] if site.split(".")[0] == ROOT else f"{part}.{site}"


def plan_of(model: nn.Module) -> Plan | None:
    """The plan that is installed on a model, or None."""
    installation = installation_of(model)
    return None if installation is None else Plan(*installation.rules)
