"""Noise that skips computation: stochastic depth as a module, and layer drop.

Stochastic depth (Huang et al. 2016) is written as a module of its own in Hugging Face's
transformers and in timm (classes called `...DropPath`, rate `drop_prob`), and in torchvision
(`StochasticDepth`, rate `p`). Layer drop (Fan et al. 2020) is a number that a model compares with a
draw of its own: `layerdrop`, an attribute of the module that holds the layers or of its `config`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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
    return max((float(rate) for _, _, rate in _layer_drop_rates(module)), default=None)


def branch_drop_rate(module: nn.Module) -> float | None:
    """The chance that a module drops a branch for a whole batch, as torchvision's may."""
    attributes = vars(module)
    return _number(attributes.get("p")) if attributes.get("mode") == "batch" else None


def has_skip_settings(module: nn.Module) -> bool:
    """Say whether a module, or its configuration, has a place for such a rate."""
    return not vars(module).keys().isdisjoint(("layerdrop", "mode", "config"))


def skip_rates(modules: Iterable[nn.Module]) -> tuple[float | None, ...]:
    """The rates at which modules skip layers or branches for a whole batch, and their places.

    Two such values are equal while none of the rates changes. A configuration that many modules
    have is read once.

    Args:
        modules: those that have places for such rates.
    """
    rates: list[float | None] = []
    configs: dict[int, Any] = {}
    for module in modules:
        attributes = module.__dict__
        if "layerdrop" in attributes or "mode" in attributes:
            rates += (_number(attributes.get("layerdrop")), branch_drop_rate(module))
        config = attributes.get("config")
        configs[id(config)] = config
    for config in configs.values():
        names = [name for name in getattr(config, "__dict__", {}) if name.endswith("layerdrop")]
        rates += (_number(getattr(config, name, None)) for name in ("layerdrop", *names))
    return tuple(rates)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _layer_drop_rates(module: nn.Module) -> Iterator[tuple[Any, str, int | float]]:
    """Yield each rate of skipping the layers of a module, after its holder and its name there.

    A configuration may have rates for several parts of a model, such as `speech_encoder_layerdrop`.
    They are those of the modules that hold a list of layers and have no rate of their own.
    """
    attributes = vars(module)
    config = attributes.get("config")
    names = {"layerdrop"}
    if "layerdrop" not in attributes and _holds_layers(module):
        names |= {name for name in getattr(config, "__dict__", {}) if name.endswith("_layerdrop")}
    rates: list[tuple[Any, str, Any]] = [(module, "layerdrop", attributes.get("layerdrop"))]
    rates += [(config, name, getattr(config, name, None)) for name in names]
    yield from (rate for rate in rates if isinstance(rate[2], int | float))


def _holds_layers(module: nn.Module) -> bool:
    return any(isinstance(child, nn.ModuleList) for child in module.children())


@contextmanager
def layer_drop_disabled(model: nn.Module) -> Iterator[None]:
    """Let a model run all its layers, also in train mode.

    >>> encoder = nn.Module()
    >>> encoder.layerdrop = 0.1
    >>> with layer_drop_disabled(encoder):
    ...     encoder.layerdrop
    0.0
    >>> encoder.layerdrop
    0.1
    """
    rates = [rate for module in model.modules() for rate in _layer_drop_rates(module) if rate[2]]
    try:
        for holder, name, rate in rates:
            set_rate(holder, name, type(rate)(0))
        yield
    finally:
        for holder, name, rate in rates:
            set_rate(holder, name, rate)


def set_rate(holder: Any, name: str, rate: float) -> None:
    """Set a rate past setters: a module's are slow, a configuration's may check or refuse."""
    if name in getattr(holder, "__dict__", {}):
        holder.__dict__[name] = rate
    elif isinstance(holder, nn.Module):
        setattr(holder, name, rate)
    else:
        object.__setattr__(holder, name, rate)


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
