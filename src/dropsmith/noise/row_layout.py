"""The axes on which a model's batches have rows: found by a run without noise, and remembered.

A kind of batch is known again by the structure of its arguments and by which of its sizes are
equal, so that a batch in which another size happens to equal the rows is looked at anew.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from dropsmith.batches import Arguments, Axis, Layout, Name, is_packed, leaves_of, packed_rows
from dropsmith.noise.lookup import INSTALLATION
from dropsmith.noise.probe_layout import probe_layout
from dropsmith.noise.skipping import may_get_skip_rate, skip_rates

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
        self.children: list[int] = []
        self.skippers: list[ref[nn.Module]] = []
        self.version = 0

    def state(self, model: nn.Module) -> _Kind:
        """The training flags and plans of all modules, and the rates at which some skip layers."""
        modules = [module for part in self.parts if (module := part()) is not None]
        children = [id(child) for module in modules for child in module._modules.values()]
        if not modules or len(modules) < len(self.parts) or children != self.children:
            modules = self._read_parts(model)
        plans = [ref(m.__dict__[INSTALLATION]) for m in modules if INSTALLATION in m.__dict__]
        rates = [skip_rates(module) for part in self.skippers if (module := part()) is not None]
        flags = [module.training for module in modules]
        return self.version, tuple(flags), tuple(plans), tuple(rates)

    def _read_parts(self, model: nn.Module) -> list[nn.Module]:
        """Read the modules of a model that is new, or has others than before."""
        modules = list(model.modules())
        self.parts = [ref(module) for module in modules]
        self.children = [id(child) for module in modules for child in module._modules.values()]
        self.skippers = [ref(module) for module in modules if may_get_skip_rate(module)]
        self.version += 1
        self.exact.clear()
        self.kinds.clear()
        return modules


_CACHES: WeakKeyDictionary[nn.Module, _LayoutCache] = WeakKeyDictionary()


def model_state(model: nn.Module) -> Any:
    """What of a model, beside its batch, decides how views are made; equal while nothing changes.

    Those are the training flags and the plans of its modules (a normalisation may have a flag of
    its own), and the rates at which they skip layers or branches for a whole batch.
    """
    cache = _CACHES.get(model)
    if cache is None:
        cache = _CACHES[model] = _LayoutCache()
    return cache.state(model)


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
        ViewError: no argument has rows, or `rows` names none.
    """
    state = (state or model_state(model)), rows and tuple(rows.items())
    cache = _CACHES[model]
    exact = (*state, *_sizes(arguments))
    layout = cache.exact.get(exact)
    if layout is None:
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


def _sizes(arguments: Arguments) -> Iterator[Any]:
    """The exact sizes of every leaf, and what it is."""
    args, kwargs = arguments
    for name, value in (*enumerate(args), *kwargs.items()):
        if isinstance(value, Tensor) and not value.is_nested:
            yield name, value.shape, value.dtype
            continue
        for leaf in leaves_of(value):
            is_tensor = isinstance(leaf, Tensor)
            yield (name, _shape(leaf), leaf.dtype) if is_tensor else (name, _plain(leaf))


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
