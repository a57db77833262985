"""Where a model's batches have their rows: found by running it without noise, and remembered.

A kind of batch is known again by the structure of its arguments and by which of its sizes are
equal, so that a batch in which another size happens to equal the rows is looked at anew.
"""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dropsmith.batches import (
    Arguments,
    Axis,
    Layout,
    Name,
    Trial,
    close,
    find_layout,
    leaves_of,
    tensors_in,
)
from dropsmith.errors import ViewError, did_you_mean
from dropsmith.interception import ATTENTION, DROPOUTS, MULTI_HEAD, RECURRENT, multi_head_arguments
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import find_noise, installation_of
from dropsmith.noise.probing import unchanged
from dropsmith.noise.state import Noise

RowAxes = Mapping[str, Axis]
"""Where somebody says that arguments have their rows: an axis by name, None for no rows."""
_Kind = tuple[Any, ...]
_KNOWN: WeakKeyDictionary[nn.Module, dict[_Kind, Layout]] = WeakKeyDictionary()


def layout_of(model: nn.Module, arguments: Arguments, rows: RowAxes | None = None) -> Layout:
    """The layout of a batch, looked up, or found by running the model on a few rows.

    Args:
        model: the root.
        arguments: of one call.
        rows: the axes of arguments, by name, that somebody says.

    Raises:
        ViewError: no argument has rows, or `rows` names none.
    """
    known = _KNOWN.get(model)
    if known is None:
        known = _KNOWN[model] = {}
    state = model.training, id(installation_of(model)), rows and tuple(rows.items())
    exact = (*state, *map(_exact, _leaves(arguments)))
    layout = known.get(exact)
    if layout is None:
        kind = (*state, _pattern(arguments))
        layout = known.get(kind)
        if layout is None:
            layout = known[kind] = _found(model, arguments, rows or {})
        known[exact] = layout
    return layout


def forget_layouts(model: nn.Module) -> None:
    """Let the layouts of a model be found anew."""
    _KNOWN.pop(model, None)


def _leaves(arguments: Arguments) -> Iterator[tuple[Name, Any]]:
    args, kwargs = arguments
    for name, value in (*enumerate(args), *kwargs.items()):
        if isinstance(value, Tensor):
            yield name, value
        else:
            yield from ((name, leaf) for leaf in leaves_of(value))


def _exact(leaf: tuple[Name, Any]) -> Any:
    name, value = leaf
    if isinstance(value, Tensor):
        return name, value.shape, value.dtype
    return name, value if isinstance(value, bool | int | str | None) else type(value)


def _pattern(arguments: Arguments) -> _Kind:
    """Which sizes of which arguments are equal to each other, or to one."""
    numbers: dict[int, int] = {1: -1}
    pattern: list[Any] = []
    for name, leaf in _leaves(arguments):
        if isinstance(leaf, Tensor) and not leaf.is_nested:
            pattern.append(
                (name, leaf.dtype, *(numbers.setdefault(s, len(numbers)) for s in leaf.shape))
            )
        else:
            pattern.append(_exact((name, leaf)))
    return tuple(pattern)


def _found(model: nn.Module, arguments: Arguments, rows: RowAxes) -> Layout:
    probe = _Probe(model)
    said = _by_position(model, arguments, rows)
    with unchanged(model), torch.no_grad(), _eager(model), warnings.catch_warnings():
        # Checkpointing warns of a forward without gradients, which this is on purpose.
        warnings.simplefilter("ignore")
        layout = find_layout(arguments, probe.run, said)
        if layout.dependence and not probe.repeatable(arguments):
            # What a module draws for itself in train mode is off in eval mode.
            with evaluating(model):
                layout = find_layout(arguments, probe.run, said)
    return layout


class _Probe:
    """Runs a model without noise, and counts what its noise would have fallen on."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.noise = find_noise(model) or Noise()

    def run(self, arguments: Arguments, views: int = 1, rows: int | None = None) -> Trial:
        draws: list[int] = []
        numbers = tuple(range(views))
        this = ForwardPass(views=numbers, noise_free=numbers, rows=rows)
        observer, self.noise.observer = self.noise.observer, _counting(draws)
        try:
            with self.noise.passing(this), _WithoutNoise(draws):
                output = self.model(*arguments[0], **arguments[1])
        finally:
            self.noise.observer = observer
        return Trial(output=output, draws=tuple(draws))

    def repeatable(self, arguments: Arguments) -> bool:
        """Whether two runs over one batch return the same, so that nothing random is left."""
        outputs = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            try:
                outputs.append(tensors_in(self.run(arguments).output))
            except Exception:
                return True
        return all(close(a, b) for a, b in zip(*outputs, strict=True))


def _counting(draws: list[int]) -> Any:
    def count(site: str, kind: str, before: Tensor, after: Tensor) -> None:
        if kind != "weight":
            draws.append(before.numel())

    return count


class _WithoutNoise(TorchFunctionMode):
    """Runs torch's own noisy calls at rate 0."""

    def __init__(self, draws: list[int]) -> None:
        super().__init__()
        self.draws = draws

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in DROPOUTS:
            names = ("input", "p", "training")
            named = dict(zip(names, args, strict=False)) | kwargs
            if named.get("p", 0.5) and named.get("training", named.get("train", True)):
                self.draws.append(named["input"].numel())
            return named["input"]
        if func is ATTENTION:
            names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
            named = dict(zip(names, args, strict=False)) | kwargs
            if named.pop("dropout_p", 0.0):
                self.draws.append(named["query"].numel())
            return func(**named)
        if func is MULTI_HEAD:
            named = multi_head_arguments(args, kwargs)
            if named["dropout_p"] and named["training"]:
                self.draws.append(named["query"].numel())
            return func(**{**named, "dropout_p": 0.0})
        if func in RECURRENT:
            packed = not isinstance(args[3], bool)
            layers, rate, train = args[4 + packed : 7 + packed]
            if layers > 1 and rate and train:
                self.draws.append(args[0].numel())
            return func(*args[: 5 + packed], 0.0, *args[6 + packed :])
        return func(*args, **kwargs)


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
    compiled = any(
        hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
    with ExitStack() as stack:
        if compiled and not torch.compiler.is_compiling():
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
