"""Places in a model where noise is, or could be, by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from dropsmith.sites.places import Declares

Kind = Literal[
    "output",
    "input",
    "weight",
    "words",
    "state",
    "dropout",
    "functional",
    "attention",
    "between",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
NATIVE: tuple[Kind, ...] = ("dropout", "functional", "attention", "between")
ROOT = "root"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place where noise is or could be.

    Args:
        name: the module's name for its output, `<module>.input`, a parameter's name for its
            weight, `<module>.dropout()` for functional dropout, `<module>.attention()` for fused
            attention, `<module>.between()` between the layers of an `nn.LSTM`,
            `<module>.<place>` where a module declares a place of its own.
        kind: `output`, `input`, `weight`, `words` (an embedding's rows), `state` (a place a
            module declares), or noise the model already has: `dropout` (a module), `functional`,
            `attention`, `between`.
        owner: the module that is hooked.
        type: the class name of that module.
        axes: the names of the tensor's dimensions, where a run has shown them.
        sizes: its sizes in that run.
        rate: the rate the model declares, for noise it already has. Declared, not measured:
            `audit` measures.
        group: another name, which means every site that has it: `lstm.recurrent` is the recurrent
            state of all layers and directions.
    """

    name: str
    kind: Kind
    owner: str
    type: str
    axes: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    rate: float | None = None
    group: str = ""

    @property
    def native(self) -> bool:
        """Whether the model drops here by itself."""
        return self.kind in NATIVE


def shown(name: str) -> str:
    """A module's name for people: the root has none of its own."""
    return name or ROOT


def owner_module(model: nn.Module, owner: str) -> nn.Module:
    """The module with a shown name."""
    return model if owner == ROOT else model.get_submodule(owner)


def static_sites(model: nn.Module) -> list[Site]:
    """Every site that can be told without running the model, in the order of its modules."""
    return [site for name, module in model.named_modules() for site in _of_module(name, module)]


def _of_module(name: str, module: nn.Module) -> Iterator[Site]:
    base, kind = shown(name), type(module).__name__
    if isinstance(module, _DropoutNd):
        yield Site(name=base, kind="dropout", owner=base, type=kind, rate=float(module.p))
        return
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        yield Site(name=base, kind="words", owner=base, type=kind)
    yield Site(name=base, kind="output", owner=base, type=kind)
    yield Site(name=f"{base}.input", kind="input", owner=base, type=kind)
    yield from _built_in(base, module)
    if isinstance(module, Declares):
        yield from _declared(base, module)
    for parameter, value in module.named_parameters(recurse=False):
        if value.is_floating_point():
            full = f"{name}.{parameter}" if name else parameter
            yield Site(name=full, kind="weight", owner=base, type=kind, sizes=tuple(value.shape))


def _declared(base: str, module: Declares) -> Iterator[Site]:
    for place in module.noise_places():
        yield Site(
            name=f"{base}.{place.name}",
            kind="state",
            owner=base,
            type=type(module).__name__,
            axes=place.axes,
            group=f"{base}.{place.group}",
        )


def _built_in(base: str, module: nn.Module) -> Iterator[Site]:
    kind = type(module).__name__
    if isinstance(module, nn.MultiheadAttention):
        rate = float(module.dropout)
        yield Site(name=f"{base}.attention()", kind="attention", owner=base, type=kind, rate=rate)
    if isinstance(module, nn.RNNBase) and module.num_layers > 1:
        rate = float(module.dropout)
        yield Site(name=f"{base}.between()", kind="between", owner=base, type=kind, rate=rate)
