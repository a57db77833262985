"""The arguments that a batch stands for: a tensor, a tuple, or a mapping by name."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from dropsmith.batches.packed import is_packed

_WRAPPED = ("module", "_orig_mod")
"""Where DistributedDataParallel and torch.compile keep the model whose arguments they pass on."""


def call(model: nn.Module, batch: Any) -> Any:
    """Run a model on a batch.

    Names that the model's `forward` does not take, such as `labels`, are left out.
    """
    args, kwargs = arguments(model, batch)
    return model(*args, **kwargs)


def arguments(model: nn.Module, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and named arguments a batch stands for."""
    if isinstance(batch, Mapping):
        taken = _names(model)
        return (), {k: v for k, v in batch.items() if taken is None or k in taken}
    if isinstance(batch, tuple | list) and not is_packed(batch):
        return tuple(batch), {}
    return (batch,), {}


def _names(model: nn.Module) -> set[str] | None:
    parameters = inspect.signature(model.forward).parameters.values()
    if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters):
        return {p.name for p in parameters}
    inside = (getattr(model, name, None) for name in _WRAPPED)
    inner = next((one for one in inside if isinstance(one, nn.Module)), None)
    return None if inner is None else _names(inner)
