"""The results of trying a model on a few rows, remembered so that the next prediction runs at once.

They are remembered by what they may depend on: the plan, the sizes of the batch, and every number
or word that modules and their configuration hold in attributes, dropout rates among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, leaves_of
from dropsmith.plans import Assignment, Rule, Site
from dropsmith.prediction.native_dropout import Calls

_MAX_KINDS = 64
"""Kinds of batches that are remembered of a model, at most."""


@dataclass
class TrialMemory:
    """The results of trying one model under one plan, for batches of one kind.

    Args:
        calls: the model's own noisy calls.
        rules: those of its own noise, and those of the plan.
        sites: of the model.
        assignments: the rule that decides at each site.
        probe_inputs: the arguments for a few rows, or for all where rows cannot be taken alone.
        probes: how a batch may be run, by the arguments of `predict` that it depends on.
    """

    calls: Calls
    rules: tuple[Rule, ...]
    sites: list[Site]
    assignments: list[Assignment]
    probe_inputs: Arguments
    probes: dict[Any, Any] = field(default_factory=dict)


_MEMORIES: WeakKeyDictionary[nn.Module, dict[Any, TrialMemory]] = WeakKeyDictionary()


def recall(model: nn.Module, key: Any) -> TrialMemory | None:
    """The results that are remembered under a key; None for none."""
    memories = _MEMORIES.get(model)
    return None if memories is None or key is None else memories.get(key)


def remember(model: nn.Module, key: Any, memory: TrialMemory) -> None:
    """Remember results, in place of the oldest where there are too many."""
    if key is None:
        return
    memories = _MEMORIES.setdefault(model, {})
    if len(memories) >= _MAX_KINDS:
        memories.pop(next(iter(memories)))
    memories[key] = memory


def memory_key(model: nn.Module, inputs: Arguments, rules: tuple[Rule, ...], *settings: Any) -> Any:
    """All that the results of a trial depend on; None where that cannot be compared."""
    key = (
        rules,
        settings,
        (len(inputs.args), *inputs.kwargs),
        tuple(map(_leaf_key, leaves_of(inputs))),
        tuple(value for module in model.modules() for value in _settings(module)),
    )
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _leaf_key(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        # A number beside the batch may be a rate.
        number = leaf.item() if leaf.ndim == 0 and leaf.device.type == "cpu" else None
        return leaf.shape, leaf.dtype, leaf.device, number
    return leaf if isinstance(leaf, bool | int | float | str | None) else type(leaf)


def _settings(module: nn.Module) -> list[Any]:
    """What a module and its configuration hold beside modules and parameters, and the module."""
    attributes = vars(module)
    values = [(k, _setting(v)) for k, v in attributes.items() if k not in _OF_TORCH]
    config = attributes.get("config")
    if config is not None and hasattr(config, "__dict__"):
        values += [(k, _setting(v)) for k, v in vars(config).items()]
    # A rate may lie in a buffer, so that it moves with the model and is saved.
    values += [
        (k, float(v))
        for k, v in attributes["_buffers"].items()
        if v is not None and v.ndim == 0 and v.is_floating_point() and v.device.type == "cpu"
    ]
    hooks = len(attributes["_forward_hooks"]), len(attributes["_forward_pre_hooks"])
    return [id(module), type(module), hooks, *values]


_OF_TORCH = frozenset(vars(nn.Module())) - {"training"}
"""What torch itself keeps in a module."""

_MAX_ENTRIES = 64
"""Entries of a list, a dictionary or a tensor that are compared one by one, at most."""


def _setting(value: Any) -> Any:
    """What can be compared of a setting: numbers and words, also those in containers."""
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, Tensor):
        is_small = value.numel() <= _MAX_ENTRIES and value.device.type == "cpu"
        if is_small and value.layout == torch.strided and not value.is_quantized:
            return tuple(value.detach().flatten().tolist())
        return value.shape, value._version
    if isinstance(value, Mapping) and len(value) <= _MAX_ENTRIES:
        return tuple((str(key), _setting(part)) for key, part in value.items())
    if isinstance(value, list | tuple | set | frozenset) and len(value) <= _MAX_ENTRIES:
        return tuple(map(_setting, value))
    return type(value)
