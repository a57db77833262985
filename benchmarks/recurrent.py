"""Variational LSTM against `torch.nn.LSTM` without noise, against loops and against Keras.

Forward and backward of one layer, batch 20, 35 steps. What is asked on a CPU at 650 units: at most
1.2 of `nn.LSTM`'s time with one mask for all gates, 1.1 with noise on the weights alone, and at
most 0.4 of the written-out loop's. `untied` has a mask for each gate, hence four products a step.
Keras (`pip install -e '.[bench]'`) is left out, and said to be, where it is not installed.

On a GPU our steps are Triton's, launched one by one, and beside them captured as CUDA graphs; their
products are in TF32, as cuDNN's are.
"""

import importlib.util
import os
from typing import Any

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._loops import LoopedLSTM
from benchmarks._measure import Call
from torch import Tensor, nn

from dropsmith.patterns import Bernoulli, DropConnect
from dropsmith.plans import Plan, rule
from dropsmith.recurrent import LSTM, Graphs, Triton

RATE = 0.3
TIME, BATCH = 35, 20


def planned(unit: int, *rules: Any) -> nn.Module:
    """One of our layers under a plan."""
    layer = LSTM(unit, unit)
    Plan(*rules).install(layer)
    return layer


def variational(unit: int, held: str) -> nn.Module:
    """Masks on input and state, held over time and whatever else is named."""
    pattern = Bernoulli(rate=RATE, shared=held)
    return planned(unit, rule("root.inputs", pattern), rule("root.recurrent", pattern))


def captured(unit: int) -> nn.Module:
    """The same noise, its steps captured as CUDA graphs."""
    layer = variational(unit, "time gate")
    layer.kernel = Triton(precision="tf32", graphs=Graphs())  # pyright: ignore
    return layer


def keras_layer(unit: int) -> nn.Module | None:
    """Keras' layer on its torch backend, None where Keras is not there."""
    if importlib.util.find_spec("keras") is None:
        print("keras is not installed, so it is left out: pip install -e '.[bench]'")
        return None
    os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it when it is imported
    import keras

    layer = keras.layers.LSTM(unit, dropout=RATE, recurrent_dropout=RATE, return_sequences=True)
    return _BatchFirst(layer)


class _BatchFirst(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(0, 1), training=True)


def step(model: nn.Module, x: Tensor, grad: Tensor) -> Call:
    """One forward and backward, gradients of the input and of every weight."""

    def call() -> None:
        output = model(x)
        output = output[0] if isinstance(output, tuple) else output
        output.backward(grad if output.shape == grad.shape else grad.transpose(0, 1))
        x.grad = None
        for parameter in model.parameters():
            parameter.grad = None

    return call


def calls(models: dict[str, nn.Module | None], unit: int, device: torch.device) -> dict[str, Call]:
    """A step of each model on the same input."""
    x, grad = torch.randn(2, TIME, BATCH, unit, device=device).unbind()
    x = x.clone().requires_grad_()
    there = {name: model for name, model in models.items() if model is not None}
    return {name: step(model.to(device).train(), x, grad) for name, model in there.items()}


def against_torch(unit: int, threads: int) -> Comparison:
    """Our layer under its kinds of noise, first torch's own without any."""

    def ways(device: torch.device) -> dict[str, Call]:
        models = {
            "nn.LSTM": nn.LSTM(unit, unit),
            "no noise": LSTM(unit, unit),
            "weights": planned(unit, rule("weight_hh_l0", DropConnect(rate=RATE))),
            "variational": variational(unit, "time gate"),
            "untied": variational(unit, "time"),
        }
        if device.type == "cuda":
            models["variational, in graphs"] = captured(unit)
        return calls(models, unit, device)

    most = {"no noise": 1.05, "weights": 1.1, "variational": 1.2}
    name = f"{unit} units, {threads} threads, against nn.LSTM"
    return Comparison(name=name, ways=ways, threads=threads, targets=most, only=only(threads))


def against_loops(unit: int, threads: int) -> Comparison:
    """Our variational layer, first the loop written out by hand."""

    def ways(device: torch.device) -> dict[str, Call]:
        compiled = LoopedLSTM(unit, RATE)
        compiled.compile()
        models = {
            "loop": LoopedLSTM(unit, RATE),
            "compiled loop": compiled,
            "Keras": keras_layer(unit),
            "variational": variational(unit, "time gate"),
        }
        return calls(models, unit, device)

    name = f"{unit} units, {threads} threads, against loops"
    asked = {"variational": 0.4}
    return Comparison(name=name, ways=ways, threads=threads, targets=asked, only=only(threads))


def only(threads: int) -> str | None:
    """Threads matter on a CPU alone."""
    return None if threads == 1 else "cpu"


CASE = Case(
    name="recurrent",
    tests=("tests/kernels/test_recurrent.py", "tests/recurrent"),
    comparisons=tuple(
        make(650, threads) for threads in (1, 2) for make in (against_torch, against_loops)
    ),
)

if __name__ == "__main__":
    main(CASE)
