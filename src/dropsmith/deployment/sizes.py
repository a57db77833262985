"""The sizes of a graph's inputs: numbers that are fixed, and names of those that may differ."""

from torch import SymInt
from torch.export.graph_signature import InputKind

from dropsmith.deployment.exported import Sizes
from dropsmith.deployment.inputs import NUMBER, SEED
from dropsmith.deployment.trace import Traced


def inputs_of(traced: Traced) -> dict[str, tuple[str, Sizes]]:
    """Type and sizes of each input of a program, by name in order."""
    program = traced.program
    values = {
        node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"
    }
    specs = [s.arg.name for s in program.graph_signature.input_specs if s.kind == _USER]
    names: dict[str, str] = {}

    def size_of(size: int | SymInt) -> int | str:
        if str(size).isdigit():  # also of a size that the model has fixed
            return int(size)
        return names.setdefault(str(size), f"s{len(names)}")

    found: dict[str, tuple[str, Sizes]] = {}
    for name, spec in zip((SEED, NUMBER, *traced.columns.names), specs, strict=True):
        value = values[spec]
        dtype = str(value.dtype).removeprefix("torch.")
        found[name] = dtype, tuple(size_of(size) for size in value.shape)
    return found


_USER = InputKind.USER_INPUT
