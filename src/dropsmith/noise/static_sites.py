"""Sites that can be told without running a model."""

from collections.abc import Iterator, Sequence

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from dropsmith.noise.noise_slots import HasNoiseSlots
from dropsmith.noise.skipping import depth_attribute, depth_rate
from dropsmith.plans import ROOT, Kind, Site, call_name, display_name


def owner_module(model: nn.Module, owner: str) -> nn.Module:
    """The module with a shown name; a child may itself be called `root`."""
    if owner == ROOT and ROOT not in model._modules:
        return model
    return model.get_submodule(owner)


def module_of(model: nn.Module, site: Site) -> nn.Module:
    """The module that a site is hooked at."""
    if site.kind == "weight":
        return model.get_submodule(site.name.rpartition(".")[0])
    return owner_module(model, site.owner)


def static_sites(model: nn.Module) -> list[Site]:
    """Every site that can be told without running the model, in the order of its modules."""
    # Beside a child that is called as the root is, nothing but parameters of the root has a name.
    hidden = model if ROOT in model._modules else None
    return [
        site
        for name, module in model.named_modules()
        for site in _of_module(name, module)
        if module is not hidden or site.kind == "weight"
    ]


def _of_module(name: str, module: nn.Module) -> Iterator[Site]:
    base, kind = display_name(name), type(module).__name__
    if isinstance(module, _DropoutNd):
        yield Site(name=base, kind="dropout", owner=base, type=kind, rate=float(module.p))
        return
    if depth_attribute(module) is not None:
        yield Site(name=base, kind="path", owner=base, type=kind, rate=depth_rate(module))
        return
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        yield Site(name=base, kind="words", owner=base, type=kind)
    yield Site(name=base, kind="output", owner=base, type=kind)
    yield Site(name=f"{base}.input", kind="input", owner=base, type=kind)
    yield from _torch_sites(base, module)
    if isinstance(module, HasNoiseSlots):
        yield from _slot_sites(base, module)
    for parameter, value in module.named_parameters(recurse=False):
        if value.is_floating_point():
            full = f"{name}.{parameter}" if name else parameter
            sizes = () if is_lazy(value) else tuple(value.shape)
            yield Site(name=full, kind="weight", owner=base, type=kind, sizes=sizes)


def _slot_sites(base: str, module: HasNoiseSlots) -> Iterator[Site]:
    for slot in module.noise_slots():
        yield Site(
            name=f"{base}.{slot.name}",
            kind="state",
            owner=base,
            type=type(module).__name__,
            axes=slot.axes,
            group=f"{base}.{slot.group}",
        )


def _torch_sites(base: str, module: nn.Module) -> Iterator[Site]:
    kind = type(module).__name__
    if isinstance(module, nn.MultiheadAttention):
        rate = float(module.dropout)
        yield Site(name=f"{base}.attention()", kind="attention", owner=base, type=kind, rate=rate)
    if isinstance(module, nn.RNNBase) and module.num_layers > 1:
        rate = float(module.dropout)
        yield Site(name=f"{base}.between()", kind="between", owner=base, type=kind, rate=rate)


def possible_calls(model: nn.Module, sites: Sequence[Site]) -> list[Site]:
    """Calls that a module of the user's may make, beside `sites`; torch's own layers make none."""
    names = {site.name for site in sites}
    kinds: tuple[Kind, ...] = ("functional", "attention")
    return [
        Site(name=full, kind=kind, owner=owner, type=type(module).__name__)
        for owner, module in (
            (display_name(name), module) for name, module in model.named_modules()
        )
        if not type(module).__module__.startswith("torch.nn.modules.")
        if module is not model or ROOT not in model._modules
        for kind in kinds
        if (full := call_name(owner, kind)) not in names
    ]
