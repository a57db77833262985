"""What a model's forward takes, read before trainers put functions of their own in its place."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from dropsmith.errors import ObjectiveError

ITEMS = "num_items_in_batch"
"""What trainers call the number of items that they average over."""


@dataclass(frozen=True)
class Forward:
    """What a model's forward takes: names by position, and whether labels and items are taken."""

    names: tuple[str, ...]
    labels: bool
    items: bool

    @classmethod
    def of(cls, model: nn.Module) -> "Forward":
        """Read once: trainers put functions of their own in place of `forward` later."""
        parameters = inspect.signature(model.forward).parameters.values()
        anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = tuple(p.name for p in parameters if p.kind in kinds)
        known = {p.name for p in parameters}
        return cls(names, anything or "labels" in known, anything or ITEMS in known)

    def by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments under their names."""
        if len(args) > len(self.names):
            raise ObjectiveError(
                f"forward takes {len(self.names)} arguments by position, was given {len(args)}\n"
                "  give the arguments of a consistent model by name"
            )
        return {**dict(zip(self.names, args, strict=False)), **kwargs}
