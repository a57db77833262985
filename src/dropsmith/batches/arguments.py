"""The arguments of a model from a batch: a tensor, a tuple, or a mapping by name."""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from dropsmith.batches.packed import is_packed
from dropsmith.errors import ModelError
from dropsmith.instances import check_model


class Arguments(NamedTuple):
    """The arguments of one call of a model, by position and by name."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


_INNER_MODEL_NAMES = ("module", "_orig_mod")
"""Attributes in which DistributedDataParallel and torch.compile keep the model that they wrap."""


def call(model: nn.Module, batch: Any) -> Any:
    """Run a model on a batch.

    Entries of a mapping that `forward` does not take, such as `labels`, are left out.
    """
    args, kwargs = arguments(model, batch)
    return model(*args, **kwargs)


def arguments(model: nn.Module, batch: Any) -> Arguments:
    """The positional and keyword arguments of a batch.

    Raises:
        ModelError: `model` is not a model, or its `forward` takes none of the names in a mapping.
    """
    check_model(model)
    if isinstance(batch, Arguments):
        return batch
    if isinstance(batch, Mapping):
        names = argument_names(model)
        kwargs = {k: v for k, v in batch.items() if names is None or k in names}
        if batch and not kwargs:
            _check_needs_nothing(model, batch)
        return Arguments((), kwargs)
    # A named tuple is one argument only if it is a packed sequence.
    if isinstance(batch, tuple | list) and not is_packed(batch):
        return Arguments(tuple(batch), {})
    return Arguments((batch,), {})


def _check_needs_nothing(model: nn.Module, batch: Mapping[Any, Any]) -> None:
    """Raise `ModelError` where `forward` has arguments without defaults, and a batch has none."""
    parameters = inspect.signature(model.forward).parameters.values()
    alone = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in alone]
    if not needed:
        return
    raise ModelError(
        f"forward of {type(model).__name__} takes {', '.join(map(repr, needed))}, and the batch "
        f"has none of it: {', '.join(repr(name) for name in batch)}\n"
        f"  name a tensor as forward does, {{{needed[0]!r}: ...}}, or give it without a name"
    )


def argument_names(model: nn.Module) -> set[str] | None:
    """The names of the arguments of `forward`, through wrappers; None if it takes any name."""
    parameters = inspect.signature(model.forward).parameters.values()
    if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters):
        return {p.name for p in parameters}
    candidates = (getattr(model, name, None) for name in _INNER_MODEL_NAMES)
    inner_model = next((module for module in candidates if isinstance(module, nn.Module)), None)
    return None if inner_model is None else argument_names(inner_model)
