"""The Transformer blocks of a model, recognised by where its attention runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from dropsmith.errors import SiteError, excerpt
from dropsmith.noise import owner_module
from dropsmith.plans import ROOT, Selector, display_name, glob_matches, nearest

_BLOCKS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


@dataclass(frozen=True)
class BlockCandidate:
    """A module that may be a Transformer block.

    Args:
        name: the module's.
        stack: the name of the list it stands in, or its own.
        feed: the last projection below it, with adapters on it: what its feed-forward part
            returns, in a block that ends with one; None where it has no projection.
    """

    name: str
    stack: str
    feed: str | None


def block_candidates(model: nn.Module, blocks: str | None = None) -> list[BlockCandidate]:
    """Every element of every list of modules, and torch's own layers; or what `blocks` matches.

    Raises:
        SiteError: `blocks` matches no module.
    """
    modules = {display_name(name): module for name, module in model.named_modules()}
    if blocks is None:
        names = [
            name
            for name, module in modules.items()
            if _is_in_list(modules, name) or isinstance(module, _BLOCKS)
        ]
    else:
        names = [name for name in modules if glob_matches(blocks, name)]
        if not names:
            near = nearest(Selector(name=blocks), list(modules))
            raise SiteError(
                f"no module is called {excerpt(blocks)}, to be a block\n  nearest: {near}"
            )
    return [
        BlockCandidate(name, _stack(modules, name), _feed(modules[name], name)) for name in names
    ]


def blocks_among(
    model: nn.Module, ran: Iterable[BlockCandidate], attention_owners: Iterable[str], by_name: bool
) -> list[BlockCandidate]:
    """The candidates that are blocks.

    The elements of a list are blocks where attention runs in each of them that ran, and they hold
    projections beside it, such as those of a feed-forward part; of lists within lists the inner.
    Where no list has such elements (a model may write attention and feed-forward part in one
    module), they are those of the outermost list in each of whose elements attention runs.

    Args:
        model: the root.
        ran: the candidates that ran in a forward.
        attention_owners: the modules in which attention ran.
        by_name: whether the candidates were given by name: then all of them are blocks.
    """
    ran, owners = list(ran), set(attention_owners)
    if by_name:
        return ran
    stacks: dict[str, list[BlockCandidate]] = {}
    for candidate in ran:
        stacks.setdefault(candidate.stack, []).append(candidate)
    attending = [s for s in stacks.values() if all(_inside(c.name, owners) for c in s)]
    complete = [s for s in attending if all(_has_feed(model, c.name, owners) for c in s)]
    block_lists = _innermost(complete) if complete else _outermost(attending)
    return [candidate for candidate in ran if any(candidate in stack for stack in block_lists)]


def time_first(block: nn.Module) -> bool:
    """Say whether it is a layer of torch's own that keeps time in dimension 0, their default."""
    return isinstance(block, _BLOCKS) and not block.self_attn.batch_first


def ends_with_attention(
    model: nn.Module, block: BlockCandidate, attention_owners: Iterable[str]
) -> bool:
    """Say whether the last projection of a block is of its attention, though others are not."""
    inside = {name for name in attention_owners if name != block.name and below(name, block.name)}
    last = block.feed is not None and _within_any(block.feed, inside)
    return last and _has_feed(model, block.name, inside)


def _is_in_list(modules: dict[str, nn.Module], name: str) -> bool:
    parent = modules.get(display_name(name.rpartition(".")[0])) if name != ROOT else None
    return isinstance(parent, nn.ModuleList | nn.Sequential)


def _stack(modules: dict[str, nn.Module], name: str) -> str:
    return display_name(name.rpartition(".")[0]) if _is_in_list(modules, name) else name


def _inside(name: str, owners: Iterable[str]) -> bool:
    return any(below(owner, name) for owner in owners)


def below(name: str, top: str) -> bool:
    """Say whether a module is another one, or in it."""
    return top == ROOT or name == top or name.startswith(f"{top}.")


def _projections(module: nn.Module) -> Iterator[str]:
    """The modules below with a matrix of their own that is not a table of words, by their path."""
    for path, inner in module.named_modules():
        weight = inner._parameters.get("weight")
        if weight is not None and weight.ndim == 2 and not isinstance(inner, nn.Embedding):
            yield path


def _join(name: str, path: str) -> str:
    return display_name(path) if name == ROOT else f"{name}.{path}" if path else name


def _has_feed(model: nn.Module, name: str, owners: Iterable[str]) -> bool:
    projections = (_join(name, path) for path in _projections(owner_module(model, name)))
    return any(not _within_any(projection, owners) for projection in projections)


def _within_any(name: str, tops: Iterable[str]) -> bool:
    return any(below(name, top) for top in tops)


def _feed(module: nn.Module, name: str) -> str | None:
    """The last projection, or the adapter around it, in which the last matrix is the adapter's."""
    last = next(reversed(list(_projections(module))), None)
    if last is None:
        return None
    parts = last.split(".")
    for count in range(1, len(parts)):
        outer = ".".join(parts[:count])
        if hasattr(module.get_submodule(outer), "base_layer"):
            return _join(name, outer)
    return _join(name, last)


def _innermost(stacks: list[list[BlockCandidate]]) -> list[list[BlockCandidate]]:
    return [s for s in stacks if not any(_within(other, s) for other in stacks if other is not s)]


def _outermost(stacks: list[list[BlockCandidate]]) -> list[list[BlockCandidate]]:
    return [s for s in stacks if not any(_within(s, other) for other in stacks if other is not s)]


def _within(inner: list[BlockCandidate], outer: list[BlockCandidate]) -> bool:
    """Say whether a block of one list is below one of another."""
    return any(below(i.name, o.name) and i.name != o.name for i in inner for o in outer)
