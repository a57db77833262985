"""The noise state and the plan of a model, where it has them."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.errors import NoiseError
from dropsmith.instances import check_model
from dropsmith.interception import Attachment
from dropsmith.noise.state import ATTRIBUTE, Noise
from dropsmith.numbers import LARGEST_SEED, check_whole
from dropsmith.plans import ROOT, Assignment, Plan, Rule


def noise_of(model: nn.Module) -> Noise:
    """The noise state of a model, also inside a wrapper such as DistributedDataParallel.

    >>> noise_of(nn.Linear(2, 2))
    Traceback (most recent call last):
    dropsmith.errors.NoiseError: this model has no noise of ours: install a plan first
    """
    noise = find_noise(model)
    if noise is None:
        raise NoiseError("this model has no noise of ours: install a plan first")
    return noise


def find_noise(model: nn.Module) -> Noise | None:
    """Like `noise_of`, or None."""
    check_model(model)
    for module in model.modules():
        noise: Any = module.__dict__.get(ATTRIBUTE)
        if noise is not None:
            return noise
    return None


def all_noise(model: nn.Module) -> list[Noise]:
    """The noise states of a model and of its parts, each once: a part may have a plan of its own.

    >>> all_noise(nn.Linear(2, 2))
    []
    """
    states = (module.__dict__.get(ATTRIBUTE) for module in model.modules())
    return list(dict.fromkeys(noise for noise in states if noise is not None))


def step(model: nn.Module, number: int) -> None:
    """Set a model's step: training forward `number` was the last, and masks continue from there.

    Call it once before a resumed run continues, if its trainer does not store the step.
    """
    check_whole("the number of a step", number, 0, NoiseError, LARGEST_SEED)
    noise_of(model).step = number


INSTALLATION = "_dropsmith_installed"


@dataclass(eq=False)
class Installation:
    """A plan on a model: its rules, the noise they put there, and how it comes off."""

    rules: tuple[Rule, ...]
    assignments: list[Assignment]
    attachments: list[Attachment]
    noise: Noise
    had_noise: bool
    handles: list[RemovableHandle]


def installation_of(model: nn.Module) -> Installation | None:
    """Return what is installed on this very module, or None."""
    check_model(model)
    return model.__dict__.get(INSTALLATION)


def installations(model: nn.Module) -> list[tuple[str, Installation]]:
    """List what is installed on a model and on the parts of it, each with the name of the part."""
    pairs = ((name, installation_of(module)) for name, module in model.named_modules())
    return [(name, installation) for name, installation in pairs if installation is not None]


def name_within(part: str, site: str) -> str:
    """The name that a site of a part of a model has in the whole model.

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
