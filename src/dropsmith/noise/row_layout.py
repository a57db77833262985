"""The axes on which a model's batches have rows: found by a run without noise, and remembered.

A kind of batch is known again by the structure of its arguments and by which of its sizes are
equal, so that a batch in which another size happens to equal the rows is looked at anew.
"""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from dropsmith.batches import (
    Arguments,
    Axis,
    Layout,
    Name,
    Trial,
    close,
    copy_tensors,
    find_layout,
    is_packed,
    leaves_of,
    packed_rows,
    tensors_in,
)
from dropsmith.errors import ViewError, did_you_mean
from dropsmith.interception import SeesFlex, decode, has_compiled_parts
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import INSTALLATION, find_noise
from dropsmith.noise.probing import attributes_unchanged, state_unchanged
from dropsmith.noise.skipping import layer_drop_disabled
from dropsmith.noise.state import Noise

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
        self.parts: list[ref[nn.Module]] | None = None

    def modes(self, model: nn.Module) -> tuple[bool, ...]:
        """The training flags of all modules: a normalisation may have one of its own."""
        modules = [part() for part in self.parts or ()]
        if not modules or None in modules:
            modules = list(model.modules())
            self.parts = [ref(module) for module in modules]
        return tuple(module.training for module in modules if module is not None)


_CACHES: WeakKeyDictionary[nn.Module, _LayoutCache] = WeakKeyDictionary()


def layout_of(model: nn.Module, arguments: Arguments, rows: RowAxes | None = None) -> Layout:
    """The layout of a batch, looked up, or found by running the model on a few rows.

    Args:
        model: the root.
        arguments: of one call.
        rows: the axes of arguments, by name, that somebody says.

    Raises:
        ViewError: no argument has rows, or `rows` names none.
    """
    cache = _CACHES.get(model)
    if cache is None:
        cache = _CACHES[model] = _LayoutCache()
    installation = model.__dict__.get(INSTALLATION)
    plan = None if installation is None else ref(installation)
    state = cache.modes(model), plan, rows and tuple(rows.items())
    exact = (*state, *_sizes(arguments))
    layout = cache.exact.get(exact)
    if layout is None:
        kind = (*state, _pattern(arguments))
        layout = cache.kinds.get(kind)
        if layout is None:
            layout = cache.kinds[kind] = _probe_layout(model, arguments, rows or {})
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


def _probe_layout(model: nn.Module, arguments: Arguments, rows: RowAxes) -> Layout:
    probe = _Probe(model)
    axes = _by_position(model, arguments, rows)
    no_warnings = warnings.catch_warnings()
    with (
        state_unchanged(model),
        attributes_unchanged(model),
        layer_drop_disabled(model),
        torch.no_grad(),
        _eager(model),
        no_warnings,
    ):
        # Checkpointing warns of a forward without gradients, which this is on purpose.
        warnings.simplefilter("ignore")
        layout = find_layout(arguments, probe.run, axes)
        if layout.dependence and not probe.repeatable(arguments):
            # What a module draws for itself in train mode is off in eval mode.
            with evaluating(model):
                eval_layout = find_layout(arguments, probe.run, axes)
            # In train mode it may write into its input, as to mask features at random.
            layout = replace(eval_layout, in_place=layout.in_place or eval_layout.in_place)
    return layout


class _Probe:
    """Runs a model without noise, and counts what its noise would have fallen on."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.noise = find_noise(model) or Noise()

    def run(self, arguments: Arguments, views: int = 1, rows: int | None = None) -> Trial:
        draws: list[int] = []
        numbers = tuple(range(views))
        forward_pass = ForwardPass(views=numbers, noise_free=numbers, rows=rows)
        observer, self.noise.observer = self.noise.observer, _counting(draws)
        try:
            with self.noise.passing(forward_pass), _WithoutNoise(draws):
                output = self.model(*arguments[0], **arguments[1])
        finally:
            self.noise.observer = observer
        return Trial(output=output, draws=tuple(draws))

    def repeatable(self, arguments: Arguments) -> bool:
        """Say whether two runs over one batch return the same, so that nothing random is left."""
        outputs = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            try:
                outputs.append(tensors_in(self.run(copy_tensors(arguments)).output))
            except Exception:
                return True
        return all(close(a, b) for a, b in zip(*outputs, strict=True))


def _counting(draws: list[int]) -> Any:
    def count(site: str, kind: str, before: Tensor, after: Tensor) -> None:
        if kind != "weight":
            draws.append(before.numel())

    return count


class _WithoutNoise(SeesFlex):
    """Runs torch's own noisy calls at rate 0."""

    def __init__(self, draws: list[int]) -> None:
        super().__init__()
        self.draws = draws

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        call = decode(func, args, kwargs)
        if call is None:
            return func(*args, **kwargs)
        if not call.rate or not call.training:
            return call.run()
        self.draws.append(call.input.numel())
        return call.run_at(0.0)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Every module in eval mode but normalisations over the batch, which must see their rows."""
    norms = nn.modules.batchnorm._BatchNorm
    training = [m for m in model.modules() if m.training and not isinstance(m, norms)]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _eager(model: nn.Module) -> Iterator[None]:
    with ExitStack() as stack:
        if has_compiled_parts(model) and not torch.compiler.is_compiling():
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _by_position(model: nn.Module, arguments: Arguments, rows: RowAxes) -> dict[Name, Axis]:
    """The axes that are said, under the positions of arguments that are given by position."""
    parameters = list(inspect.signature(model.forward).parameters)
    args, kwargs = arguments
    by_name: dict[str, Name] = {name: i for i, name in enumerate(parameters[: len(args)])}
    by_name |= {name: name for name in kwargs}
    for name in rows:
        if name not in by_name:
            raise ViewError(
                f"rows names {name!r}, which is no argument of this call\n"
                f"  its arguments are: {', '.join(by_name)}" + did_you_mean(name, list(by_name))
            )
    return {by_name[name]: axis for name, axis in rows.items()}
