"""The axes on which a model's batches have rows: found by a run without noise, and remembered.

A kind of batch is known again by the structure of its arguments and by which of its sizes are
equal, so that a batch in which another size happens to equal the rows is looked at anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from dropsmith.batches import Arguments, Axis, Layout, Name, is_packed, leaves_of, packed_rows
from dropsmith.errors import ViewError, excerpt
from dropsmith.noise.lookup import INSTALLATION
from dropsmith.noise.probe_layout import probe_layout
from dropsmith.noise.skipping import has_skip_settings, skip_rates
from dropsmith.numbers import is_count

RowAxes = Mapping[str, Axis]
"""Where somebody says that arguments have their rows: an axis by name, None for no rows."""
_Kind = tuple[Any, ...]
_MAX_BATCHES = 4096
"""Batches whose sizes are kept, at most: texts of many lengths have many sizes."""


class _LayoutCache:
    """The layouts of one model, by exact sizes and by kind; without a reference to the model."""

    def __init__(self) -> None:
        self.exact: dict[_Kind, Layout] = {}
        self.kinds: dict[_Kind, Layout] = {}
        self.parts: list[ref[nn.Module]] = []
        self.children: tuple[list[str], list[int]] = [], []
        self.skippers: list[ref[nn.Module]] = []
        self.version = 0


_CACHES: WeakKeyDictionary[nn.Module, _LayoutCache] = WeakKeyDictionary()
_VERSIONS = count(1)


def _cache_and_modules(model: nn.Module) -> tuple[_LayoutCache, list[nn.Module]]:
    """What is known of a model, which is forgotten where its modules have changed, and these."""
    cache = _CACHES.get(model)
    if cache is None:
        cache = _CACHES[model] = _LayoutCache()
    modules = [module for part in cache.parts if (module := part()) is not None]
    is_new = not modules or len(modules) < len(cache.parts)
    if is_new or _children(modules) != cache.children:
        modules = list(model.modules())
        cache.parts, cache.children = [ref(module) for module in modules], _children(modules)
        cache.skippers = [ref(module) for module in modules if has_skip_settings(module)]
        cache.version = next(_VERSIONS)
        cache.exact.clear()
        cache.kinds.clear()
    return cache, modules


def _children(modules: Sequence[nn.Module]) -> tuple[list[str], list[int]]:
    """The names and the identities of all children, in order."""
    children = [module._modules for module in modules if module._modules]
    return list(chain(*children)), [id(c) for named in children for c in named.values()]


def structure_version(model: nn.Module) -> int:
    """A number that is another one once a model has got, lost, renamed or replaced modules."""
    return _cache_and_modules(model)[0].version


def model_state(model: nn.Module) -> Any:
    """What of a model, beside its batch, decides how views are made; equal while nothing changes.

    Those are its modules, their training flags and plans (a normalisation may have a flag of its
    own), and the rates at which they skip layers or branches for a whole batch.
    """
    cache, modules = _cache_and_modules(model)
    plans = [ref(m.__dict__[INSTALLATION]) for m in modules if INSTALLATION in m.__dict__]
    flags = [module.training for module in modules]
    skippers = [module for part in cache.skippers if (module := part()) is not None]
    rates = skip_rates(skippers) if skippers else ()
    return cache.version, tuple(flags), tuple(plans), rates


def layout_of(
    model: nn.Module, arguments: Arguments, rows: RowAxes | None = None, state: Any = None
) -> Layout:
    """The layout of a batch, looked up, or found by running the model on a few rows.

    Args:
        model: the root.
        arguments: of one call.
        rows: the axes of arguments, by name, that somebody says.
        state: `model_state` of the model, where it is known.

    Raises:
        ViewError: no argument has rows, `rows` names none, or the batch is empty.
    """
    state = (state or model_state(model)), axes_said(rows)
    cache = _CACHES[model]
    exact = (*state, *map(_exact, _leaves(arguments)))
    layout = cache.exact.get(exact)
    if layout is None:
        _check_nonempty(arguments)
        kind = (*state, _pattern(arguments))
        layout = cache.kinds.get(kind)
        if layout is None:
            if len(cache.kinds) >= _MAX_BATCHES:
                cache.kinds.clear()
            layout = cache.kinds[kind] = probe_layout(model, arguments, rows or {})
        if len(cache.exact) >= _MAX_BATCHES:
            cache.exact.clear()
        cache.exact[exact] = layout
    return layout


def axes_said(rows: RowAxes | None) -> tuple[tuple[str, Axis], ...] | None:
    """The axes that somebody says, as a value; `ViewError` where they are no such mapping."""
    if rows is None:
        return None
    is_map = isinstance(rows, Mapping)
    if not is_map or not all(_is_axis(name, axis) for name, axis in rows.items()):
        raise ViewError(
            f"rows must map arguments to the axes of their rows, got {excerpt(rows)}\n"
            '  write rows={"mask": None, "input": 0}, for example'
        )
    return tuple(rows.items()) or None


def _is_axis(name: object, axis: object) -> bool:
    return isinstance(name, str) and (axis is None or is_count(axis, -64, 64))


def _check_nonempty(arguments: Arguments) -> None:
    """Raise `ViewError` where no tensor of a batch has an element: there is nothing to try."""
    tensors = [
        (name, leaf)
        for name, leaf in _leaves(arguments)
        if isinstance(leaf, Tensor) and not leaf.is_nested and leaf.ndim
    ]
    if tensors and not any(tensor.numel() for _, tensor in tensors):
        name, tensor = tensors[0]
        argument = f"argument {name}" if isinstance(name, int) else name
        raise ViewError(
            f"the batch is empty: {argument} is of sizes {tuple(tensor.shape)}\n"
            "  give a batch of at least one row"
        )


def forget_layouts(model: nn.Module) -> None:
    """Let the layouts of a model be found anew."""
    _CACHES.pop(model, None)


def _leaves(arguments: Arguments) -> Iterator[tuple[Name, Any]]:
    args, kwargs = arguments
    for name, value in (*enumerate(args), *kwargs.items()):
        if isinstance(value, Tensor):
            yield name, value
        else:
            yield from ((name, leaf) for leaf in leaves_of(value))


def _exact(leaf: tuple[Name, Any]) -> Any:
    """The exact sizes of a leaf, and what it is."""
    name, value = leaf
    return (
        (name, _shape(value), value.dtype) if isinstance(value, Tensor) else (name, _plain(value))
    )


def _plain(value: Any) -> Any:
    if is_packed(value):
        return PackedSequence, packed_rows(value)
    return value if isinstance(value, bool | int | str | None) else type(value)


def _shape(tensor: Tensor) -> Any:
    # Nested tensors have no sizes; each has a shape of its own.
    return (tensor.size(0), tensor.ndim) if tensor.is_nested else tensor.shape


def _pattern(arguments: Arguments) -> _Kind:
    """The sizes and counts of arguments, by which of them are equal to each other or to one."""
    numbers: dict[int, int] = {1: -1}
    pattern: list[Any] = []
    for name, leaf in _leaves(arguments):
        if isinstance(leaf, Tensor):
            sizes = (numbers.setdefault(s, len(numbers)) for s in _shape(leaf))
            pattern.append((name, leaf.dtype, leaf.layout, *sizes))
        elif is_packed(leaf):
            pattern.append((name, PackedSequence, numbers.setdefault(packed_rows(leaf), -2)))
        elif type(leaf) is int:  # such as the number of a step, which no two batches share
            pattern.append((name, int, numbers.get(leaf)))
        else:
            pattern.append((name, _plain(leaf)))
    return tuple(pattern)
