"""The results of trying a model on a few rows, remembered so that the next prediction runs at once.

They are remembered by what they may depend on: the plan, the sizes of the batch, and every setting
that modules and their configuration hold as a number, dropout rates among them.
"""

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from dropsmith.batches import Arguments, leaves_of
from dropsmith.plans import Rule, Site
from dropsmith.prediction.native_dropout import Calls

_MOST = 64
"""Kinds of batches that are remembered of a model, at most."""


@dataclass
class TrialMemory:
    """What was seen of one model under one plan, for batches of one kind.

    Args:
        calls: the model's own noisy calls.
        sites: its sites.
        few: the arguments for a few rows, or for all where rows cannot be taken alone.
        probes: how a batch may be run, by the arguments of `predict` that it depends on.
    """

    calls: Calls
    sites: list[Site]
    few: Arguments
    probes: dict[Any, Any] = field(default_factory=dict)


_KNOWN: WeakKeyDictionary[nn.Module, dict[Any, TrialMemory]] = WeakKeyDictionary()


def remembered(model: nn.Module, key: Any) -> TrialMemory | None:
    """What is remembered under a key; None for nothing."""
    known = _KNOWN.get(model)
    return None if known is None or key is None else known.get(key)


def remember(model: nn.Module, key: Any, memory: TrialMemory) -> None:
    """Remember what was seen, in place of the oldest where there is too much."""
    if key is None:
        return
    known = _KNOWN.setdefault(model, {})
    if len(known) >= _MOST:
        known.pop(next(iter(known)))
    known[key] = memory


def memory_key(model: nn.Module, inputs: Arguments, rules: tuple[Rule, ...], *more: Any) -> Any:
    """What the results of a trial depend on; None where that cannot be compared."""
    key = (
        rules,
        more,
        tuple(map(_described, leaves_of(inputs))),
        tuple(value for module in model.modules() for value in _settings(module)),
    )
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _described(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf.shape, leaf.dtype, leaf.device
    return leaf if isinstance(leaf, bool | int | float | str | None) else type(leaf)


def _settings(module: nn.Module) -> list[Any]:
    """The numbers that a module and its configuration hold, beside the module itself."""
    held = vars(module)
    values = [(k, v) for k, v in held.items() if isinstance(v, float | int) and k[0] != "_"]
    config = held.get("config")
    if config is not None and hasattr(config, "__dict__"):
        values += [(k, v) for k, v in vars(config).items() if isinstance(v, float | int | str)]
    hooks = len(held["_forward_hooks"]), len(held["_forward_pre_hooks"])
    return [id(module), hooks, *values]
