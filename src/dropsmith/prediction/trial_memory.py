"""The results of trying a model on a few rows, remembered so that the next prediction runs at once.

They are remembered by what they may depend on: the plan, the sizes of the batch, and every setting
that modules and their configuration hold as a number, dropout rates among them.
"""

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from dropsmith.batches import Arguments, leaves_of
from dropsmith.plans import Assignment, Rule
from dropsmith.prediction.native_dropout import Calls

_MAX_KINDS = 64
"""Kinds of batches that are remembered of a model, at most."""


@dataclass
class TrialMemory:
    """The results of trying one model under one plan, for batches of one kind.

    Args:
        calls: the model's own noisy calls.
        rules: those of its own noise, and those of the plan.
        assignments: the rule that decides at each site.
        probe_inputs: the arguments for a few rows, or for all where rows cannot be taken alone.
        probes: how a batch may be run, by the arguments of `predict` that it depends on.
    """

    calls: Calls
    rules: tuple[Rule, ...]
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
        return leaf.shape, leaf.dtype, leaf.device
    return leaf if isinstance(leaf, bool | int | float | str | None) else type(leaf)


def _settings(module: nn.Module) -> list[Any]:
    """The numbers that a module and its configuration hold, beside the module itself."""
    attributes = vars(module)
    values = [(k, v) for k, v in attributes.items() if isinstance(v, float | int) and k[0] != "_"]
    config = attributes.get("config")
    if config is not None and hasattr(config, "__dict__"):
        values += [(k, v) for k, v in vars(config).items() if isinstance(v, float | int | str)]
    hooks = len(attributes["_forward_hooks"]), len(attributes["_forward_pre_hooks"])
    return [id(module), hooks, *values]
