"""Runs of a model without noise on a few rows, which show where its batches have their rows."""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import (
    Arguments,
    Axis,
    Layout,
    Name,
    Trial,
    close,
    copy_tensors,
    find_layout,
    tensors_in,
)
from dropsmith.errors import ViewError, did_you_mean, excerpt
from dropsmith.interception import SeesFlex, decode, has_compiled_parts
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import all_noise
from dropsmith.noise.probing import attributes_unchanged, state_unchanged
from dropsmith.noise.skipping import layer_drop_disabled


def probe_layout(model: nn.Module, arguments: Arguments, rows: Mapping[str, Axis]) -> Layout:
    """Find the layout of a batch by running the model on a few of its rows, without noise.

    Args:
        model: the root.
        arguments: of one call.
        rows: the axes of arguments, by name, that somebody says.

    Raises:
        ViewError: no argument has rows, or `rows` names none.
    """
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
        self.noises = all_noise(model)

    def run(self, arguments: Arguments, views: int = 1, rows: int | None = None) -> Trial:
        draws: list[int] = []
        numbers = tuple(range(views))
        observers = [noise.observer for noise in self.noises]
        try:
            with ExitStack() as stack:
                for noise in self.noises:
                    noise.observer = _counting(draws)
                    forward_pass = ForwardPass(views=numbers, noise_free=numbers, rows=rows)
                    stack.enter_context(noise.passing(forward_pass))
                stack.enter_context(_WithoutNoise(draws))
                output = self.model(*arguments[0], **arguments[1])
        finally:
            for noise, observer in zip(self.noises, observers, strict=True):
                noise.observer = observer
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


def _by_position(
    model: nn.Module, arguments: Arguments, rows: Mapping[str, Axis]
) -> dict[Name, Axis]:
    """The axes that are said, under the positions of arguments that are given by position."""
    parameters = list(inspect.signature(model.forward).parameters)
    args, kwargs = arguments
    by_name: dict[str, Name] = {name: i for i, name in enumerate(parameters[: len(args)])}
    by_name |= {name: name for name in kwargs}
    for name in rows:
        if name not in by_name:
            raise ViewError(
                f"rows names {excerpt(name)}, which is no argument of this call\n"
                f"  its arguments are: {', '.join(by_name)}" + did_you_mean(name, list(by_name))
            )
    return {by_name[name]: axis for name, axis in rows.items()}
