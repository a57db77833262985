"""The whole-sequence kernels against torch.nn, their loops in float64, and finite differences."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dropsmith.kernels.elman import elman
from dropsmith.kernels.elman.reference import elman as elman_loop
from dropsmith.kernels.gru import gru
from dropsmith.kernels.gru.reference import gru as gru_loop
from dropsmith.kernels.lstm import lstm
from dropsmith.kernels.lstm.reference import lstm as lstm_loop
from dropsmith.kernels.state_noise import StateNoise

CELLS: dict[str, tuple[int, Callable[..., Any], Callable[..., Any]]] = {
    "lstm": (4, lstm, lstm_loop),
    "gru": (3, gru, gru_loop),
    "elman": (1, elman, elman_loop),
}
CLOSE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 0.06}


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arguments(cell: str, time: int, batch: int, unit: int, dtype: torch.dtype) -> list[Tensor]:
    gates = CELLS[cell][0]
    shapes = {
        "lstm": [(batch, unit), (batch, unit), (gates * unit, unit)],
        "gru": [(batch, unit), (gates * unit, unit), (gates * unit,)],
        "elman": [(batch, unit), (gates * unit, unit)],
    }[cell]
    made = [drawn(1, time, batch, gates, unit)]
    made += [drawn(2 + i, *shape) * (unit**-0.5) for i, shape in enumerate(shapes)]
    return [x.to(dtype).requires_grad_() for x in made]


def noise_of(cell: str, kind: str, time: int, batch: int, unit: int) -> StateNoise:
    gates = CELLS[cell][0]

    def flips(*shape: int) -> Tensor:
        return (drawn(99, *shape) > 0).double()

    return {
        "none": StateNoise(),
        "tied": StateNoise(recurrent=2 * flips(1, batch, 1, unit)),
        "untied": StateNoise(recurrent=2 * flips(1, batch, gates, unit)),
        "each step": StateNoise(recurrent=2 * flips(time, batch, gates, unit)),
        "whole batch": StateNoise(recurrent=2 * flips(1, 1, 1, unit)),
        "zoneout": StateNoise(hidden_update=flips(time, batch, unit)),
        "all": StateNoise(
            recurrent=2 * flips(time, batch, 1, unit),
            hidden_update=flips(time, batch, unit),
            cell_update=0.7 * flips(time, batch, 1) if cell == "lstm" else None,
        ),
    }[kind]


def of_type(noise: StateNoise, dtype: torch.dtype) -> StateNoise:
    masks = (noise.recurrent, noise.hidden_update, noise.cell_update)
    kinds = [None if mask is None else mask.to(dtype) for mask in masks]
    return StateNoise(recurrent=kinds[0], hidden_update=kinds[1], cell_update=kinds[2])


def results(
    run: Callable[..., Any], args: list[Tensor], noise: StateNoise
) -> tuple[list[Tensor], list[Tensor]]:
    outputs = list(run(*args, noise))
    # Every output counts, with weights of its own, so that no gradient can hide behind another.
    total = sum((o.double() * drawn(50 + i, *o.shape)).sum() for i, o in enumerate(outputs))
    grads = torch.autograd.grad(total, args)  # pyright: ignore
    return outputs, list(grads)


def assert_close(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == dtype
        scale = float(b.detach().abs().max()) + 1e-12
        assert float((a.detach().double() - b.detach()).abs().max()) <= CLOSE[dtype] * scale


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize(
    "kind", ["none", "tied", "untied", "each step", "whole batch", "zoneout", "all"]
)
@pytest.mark.parametrize("cell", CELLS)
def test_values_and_gradients_are_those_of_the_loop_in_float64(
    cell: str, kind: str, dtype: torch.dtype
):
    sizes = (7, 3, 67)
    _, fast, loop = CELLS[cell]
    args, noise = arguments(cell, *sizes, dtype), noise_of(cell, kind, *sizes)
    exact = [x.detach().double().requires_grad_() for x in args]
    found, expected = results(fast, args, of_type(noise, dtype)), results(loop, exact, noise)
    assert_close(found[0], expected[0], dtype)
    assert_close(found[1], expected[1], dtype)


@settings(max_examples=25, deadline=None)
@given(
    cell=st.sampled_from(sorted(CELLS)),
    kind=st.sampled_from(["none", "tied", "untied", "each step", "all"]),
    time=st.integers(1, 5),
    batch=st.integers(1, 4),
    unit=st.integers(1, 9),
)
def test_any_sizes_agree_with_the_loop(cell: str, kind: str, time: int, batch: int, unit: int):
    _, fast, loop = CELLS[cell]
    args = arguments(cell, time, batch, unit, torch.float64)
    noise = noise_of(cell, kind, time, batch, unit)
    found, expected = results(fast, args, noise), results(loop, args, noise)
    assert_close(found[0], expected[0], torch.float64)
    assert_close(found[1], expected[1], torch.float64)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_finite_differences(cell: str):
    args, noise = arguments(cell, 3, 2, 4, torch.float64), noise_of(cell, "all", 3, 2, 4)
    assert torch.autograd.gradcheck(lambda *a: CELLS[cell][1](*a, noise), args)


@pytest.mark.parametrize("cell", CELLS)
def test_without_noise_the_outputs_are_those_of_torch(cell: str):
    time, batch, unit = 6, 3, 65
    args = arguments(cell, time, batch, unit, torch.float32)
    native = {"lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}[cell](unit, unit)
    x = drawn(7, time, batch, unit).float()
    weight_ih, weight_hh = native.weight_ih_l0, native.weight_hh_l0
    bias_ih, bias_hh = native.bias_ih_l0, native.bias_hh_l0
    both = bias_ih if cell == "gru" else bias_ih + bias_hh
    gates = (x @ weight_ih.t() + both).view(time, batch, -1, unit)
    states = args[1 : 3 if cell == "lstm" else 2]
    tail = [weight_hh, bias_hh] if cell == "gru" else [weight_hh]
    found = CELLS[cell][1](gates, *states, *tail)
    hx = tuple(s[None] for s in states)
    output, last = native(x, hx if cell == "lstm" else hx[0])  # pyright: ignore
    last = last if cell == "lstm" else (last,)
    torch.testing.assert_close(found[0], output, atol=1e-6, rtol=1e-5)
    for mine, theirs in zip(found[1:], last, strict=True):
        torch.testing.assert_close(mine, theirs[0], atol=1e-6, rtol=1e-5)


def test_a_closed_reset_gate_leaves_the_gradient_of_the_input_exact():
    args = arguments("gru", 2, 2, 3, torch.float64)
    with torch.no_grad():
        args[0][:, :, 0] = -1e4
    found, expected = results(gru, args, StateNoise()), results(gru_loop, args, StateNoise())
    assert_close(found[1], expected[1], torch.float64)


def test_an_update_share_of_zero_leaves_state_and_cell_as_they_were():
    args = arguments("lstm", 4, 2, 5, torch.float64)
    none = torch.zeros(4, 2, 1, dtype=torch.float64)
    states, hidden, cell = lstm(*args, StateNoise(hidden_update=none, cell_update=none))
    torch.testing.assert_close(hidden, args[1])
    torch.testing.assert_close(cell, args[2])
    torch.testing.assert_close(states, args[1].expand(4, 2, 5))
