"""Noise of known shapes that skips work: stochastic depth as a module, and layer drop.

Stochastic depth (Huang et al. 2016) is written as a module of its own in Hugging Face's
transformers and in timm (classes called `...DropPath`, rate `drop_prob`), and in torchvision
(`StochasticDepth`, rate `p`). Layer drop (Fan et al. 2020) is a number that a model compares with a
draw of its own, `layerdrop`.
"""

from collections.abc import Iterator, Sequence

from torch import nn

from dropsmith.patterns import Bernoulli, Pattern, StochasticDepth, TorchDropout
from dropsmith.plans import number_in


def depth_attribute(module: nn.Module) -> str | None:
    """The attribute that holds the rate of a module of stochastic depth; None for other modules.

    >>> class DropPath(nn.Module):
    ...     drop_prob = 0.1
    >>> depth_attribute(DropPath()), depth_attribute(nn.Dropout())
    ('drop_prob', None)
    """
    name = type(module).__name__
    if not name.endswith("DropPath") and name != "StochasticDepth":
        return None
    for attribute in ("drop_prob", "p"):
        rate = getattr(module, attribute, "")
        if rate is None or (isinstance(rate, int | float) and not isinstance(rate, bool)):
            return attribute
    return None


def depth_rate(module: nn.Module) -> float:
    """The chance that a module of stochastic depth drops a row."""
    return float(getattr(module, depth_attribute(module) or "", None) or 0.0)


def depth_pattern(module: nn.Module, axes: int) -> tuple[Pattern, str | None]:
    """The pattern of a module of stochastic depth, and the names of its axes where needed.

    Args:
        module: one that has a `depth_attribute`.
        axes: how many dimensions its tensor has.
    """
    rate = depth_rate(module)
    if getattr(module, "scale_by_keep", True) is False:
        # Kept rows are not scaled, which no pattern says: torch's own draw stays.
        return TorchDropout(rate=rate), None
    if getattr(module, "mode", "row") != "batch":
        return StochasticDepth(rate=rate), None
    names = {2: "batch unit", 3: "batch time unit", 4: "batch channel height width"}.get(axes)
    return (Bernoulli(rate=rate, shared=names), names) if names else (TorchDropout(rate=rate), None)


def layer_drop_rate(module: nn.Module) -> float | None:
    """The chance that a module skips one of its layers in training; None without such a rate."""
    attributes = vars(module)
    rates = (attributes.get("layerdrop"), getattr(attributes.get("config"), "layerdrop", None))
    numbers = [float(rate) for rate in rates if isinstance(rate, int | float)]
    return max(numbers, default=None)


def skipped_layers(model: nn.Module) -> Iterator[str]:
    """Yield what the names of layers begin with that may be skipped in this mode."""
    for name, module in model.named_modules():
        if module.training and (layer_drop_rate(module) or 0.0) > 0:
            yield f"{name}." if name else ""


def may_be_skipped(name: str, prefixes: Sequence[str]) -> bool:
    """Say whether a site lies in a numbered layer of a module whose layers may be skipped.

    >>> may_be_skipped("encoder.layers.3.fc1", ["encoder."]), may_be_skipped("head", [""])
    (True, False)
    """
    return any(
        name.startswith(prefix) and number_in(name[len(prefix) :]) is not None
        for prefix in prefixes
    )
