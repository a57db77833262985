"""The watch of an audit: the input and output of every draw of a model, ours and torch's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from dropsmith.interception import ModuleTrace, NoisyCall, probabilities, run_heads
from dropsmith.noise import call_kind, depth_attribute, installations, name_within
from dropsmith.patterns import Off, TorchDropout
from dropsmith.plans import Kind, call_name, display_name

Observer = Callable[[str, Kind, Tensor, Tensor], None]
"""A function of a site's name and kind, and of its input and its output."""


@contextmanager
def watch_draws(model: nn.Module, observer: Observer) -> Iterator[None]:
    """Call `observer(site, kind, before, after)` for every draw in the forwards of the block."""
    trace = _DrawTrace(observer, _keyed(model))
    for part, installation in installations(model):
        installation.noise.observer = _PartObserver(part, observer)
    try:
        with trace.running(model):
            yield
    finally:
        for _, installation in installations(model):
            installation.noise.observer = None


class _PartObserver:
    """Reports the sites of a part of a model by the names that they have in the whole."""

    def __init__(self, part: str, observer: Observer) -> None:
        self.part, self.observer = part, observer

    def __call__(self, site: str, kind: Kind, before: Tensor, after: Tensor) -> None:
        self.observer(name_within(self.part, site), kind, before, after)


class _DrawTrace(ModuleTrace):
    """Torch's own noisy modules and calls, those that no rule of ours has replaced."""

    def __init__(self, observer: Observer, keyed: set[str]) -> None:
        super().__init__()
        self.observer, self.keyed = observer, keyed
        self.inputs: list[Tensor] = []

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._reports():
            self.inputs.append(next(iter((*args, *kwargs.values()))).detach().clone())

    def end(self, output: Any) -> None:
        if self._reports():
            before = self.inputs.pop()
            if isinstance(output, Tensor):
                kind: Kind = "dropout" if isinstance(self.module, _DropoutNd) else "path"
                self.observer(display_name(self.name), kind, before, output)

    def _reports(self) -> bool:
        drops = isinstance(self.module, _DropoutNd) or depth_attribute(self.module) is not None
        return drops and display_name(self.name) not in self.keyed

    def call(self, call: NoisyCall) -> Any:
        if isinstance(self.module, _DropoutNd):
            return call.run()
        kind = call_kind(call, self.module)
        site = call_name(display_name(self.name), kind)
        if call.operation == "multi-head attention":
            return self._multi_head(site, call)
        if call.kind == "functional":
            return self._dropout(site, kind, call)
        if call.kind == "attention":
            self.observer(site, "attention", *_attention(call))
        elif call.arguments["num_layers"] > 1:
            self.observer(site, "between", *_between(call))
        return call.run()

    def _dropout(self, site: str, kind: Kind, call: NoisyCall) -> Tensor:
        before = call.input.detach().clone()
        after = call.run()
        self.observer(site, kind, before, after)
        return after

    def _multi_head(self, site: str, call: NoisyCall) -> Any:
        """Run multi-head attention and observe its draw, which is a call inside it."""
        inner_calls: list[NoisyCall] = []

        def handle(inner: NoisyCall) -> Any:
            inner_calls.append(inner)
            if inner.kind == "functional":
                return self._dropout(site, "attention", inner)
            self.observer(site, "attention", *_attention(inner))
            return inner.run()

        output = run_heads(call, handle)
        if not inner_calls:
            # At rate 0 it calls no dropout: the probabilities go on as they are.
            weights = probabilities(call)
            self.observer(site, "attention", weights, weights)
        return output


def _attention(call: NoisyCall) -> tuple[Tensor, Tensor]:
    """The probabilities before and after a draw like the call's own.

    They are read off by giving attention the identity for its values.
    """
    before = probabilities(call)
    if call.operation == "flex attention":
        return before, before  # torch drops nothing there
    key = call.arguments["key"]
    eye = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
    values = {"value": eye.expand(*key.shape[:-1], -1)}
    return before, call.function(**(call.arguments | values))


def _between(call: NoisyCall) -> tuple[Tensor, Tensor]:
    """Ones and what two layers that copy make of them, with the call's own dropout in between."""
    x, width = call.input, 8
    sizes = call.arguments.get("batch_sizes")
    eye = torch.eye(width, dtype=x.dtype, device=x.device)
    inputs = x.new_ones(*x.shape[:-1], width)
    state = x.new_zeros(2, x.shape[0] if sizes is None else int(sizes[0]), width)
    weights = [eye, torch.zeros_like(eye)] * 2
    tail = (state, weights, False, 2, call.rate, call.training, False)
    if sizes is not None:
        return inputs, torch.rnn_relu(inputs, sizes, *tail)[0]
    return inputs, torch.rnn_relu(inputs, *tail, True)[0]


def _keyed(model: nn.Module) -> set[str]:
    """The modules of dropout or stochastic depth whose draw is ours, which the noise reports."""
    return {
        name_within(part, assignment.site.name)
        for part, installation in installations(model)
        for assignment in installation.assignments
        if assignment.site.kind in ("dropout", "path")
        and not isinstance(assignment.pattern, TorchDropout | Off)
    }
