"""The inputs of an exported graph: the tensors of a batch by name."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dropsmith.batches import Arguments, is_packed, leaves_of, map_leaves
from dropsmith.errors import ExportError

SEED, NUMBER = "seed", "number"

_TARGETS = ("start_positions", "end_positions")


@dataclass(frozen=True)
class Columns:
    """The tensors of a call's arguments, by the names that they have in a graph.

    Args:
        template: the arguments, whose other values become part of the graph.
        names: of the tensors, in order.
    """

    template: Arguments
    names: tuple[str, ...]

    @classmethod
    def of(cls, model: nn.Module, inputs: Arguments) -> "Columns":
        """Those of a call of a model.

        Raises:
            ExportError: an argument is no plain tensor, but packed sequences for one.
        """
        names = []
        for name, leaf in _named_leaves(model, inputs):
            if is_packed(leaf) or (isinstance(leaf, Tensor) and (leaf.is_nested or leaf.is_sparse)):
                raise ExportError(
                    f"the argument {name!r} is no plain tensor, and a graph takes no other\n"
                    "  pad the sequences, and give the model a mask of what is padding"
                )
            if isinstance(leaf, Tensor):
                names.append(f"input_{name}" if name in (SEED, NUMBER) else name)
        return cls(inputs, tuple(names))

    def tensors(self, inputs: Arguments) -> dict[str, Tensor]:
        """The tensors of arguments of the same form, by name."""
        tensors = [leaf for leaf in leaves_of(tuple(inputs)) if isinstance(leaf, Tensor)]
        return dict(zip(self.names, tensors, strict=True))

    def arguments(self, tensors: Mapping[str, Tensor]) -> Arguments:
        """Arguments of the same form that hold these tensors."""
        values = iter([tensors[name] for name in self.names])
        args, kwargs = map_leaves(
            lambda leaf: next(values) if isinstance(leaf, Tensor) else leaf, tuple(self.template)
        )
        return Arguments(args, kwargs)


def without_labels(model: nn.Module, inputs: Arguments) -> Arguments:
    """The arguments without those of a loss, where a model can do without them.

    They change no score, and whoever serves the model has none.
    """
    parameters = inspect.signature(model.forward).parameters
    optional = {name for name, p in parameters.items() if p.default is None}
    left_out = {name for name in optional if "label" in name or name in _TARGETS}
    kwargs = {name: value for name, value in inputs.kwargs.items() if name not in left_out}
    return Arguments(inputs.args, kwargs)


def _named_leaves(model: nn.Module, inputs: Arguments) -> Iterator[tuple[str, Any]]:
    names = list(inspect.signature(model.forward).parameters)
    positional = [names[i] if i < len(names) else f"input_{i}" for i in range(len(inputs.args))]
    named = [*zip(positional, inputs.args, strict=True), *inputs.kwargs.items()]
    for name, value in named:
        leaves = list(leaves_of(value))
        for place, leaf in enumerate(leaves):
            yield (name if len(leaves) == 1 else f"{name}_{place}"), leaf
