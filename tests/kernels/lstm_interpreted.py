"""What `test_triton` runs in a process of its own, where Triton's interpreter is on."""

import copy
import pickle
from itertools import chain

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from dropsmith.errors import KernelError
from dropsmith.kernels.lstm import Graphs, Tiles, Triton, lstm
from dropsmith.kernels.lstm.reference import lstm as loop
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise
from dropsmith.recurrent import LSTM
from kernels.test_recurrent import arguments, drawn, noise_of, of_type, results

CLOSE = {torch.float32: 3e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}
KINDS = ["none", "tied", "untied", "each step", "whole batch", "zoneout", "all"]
# Time, batch, unit, and tiles that leave edges, no edges and, in the loops, several of each.
SMALL = (2, 3, 17, Tiles(rows=16, units=16, depth=16))
SIZES = [
    (4, 1, 5, Tiles(rows=16, units=16, depth=16)),
    (1, 17, 33, Tiles(rows=16, units=16, depth=32)),
    (2, 17, 33, Tiles(rows=32, units=32, depth=16)),
    (2, 3, 67, Tiles(rows=16, units=64, depth=32)),
    (2, 16, 32, Tiles(rows=16, units=32, depth=32)),
]


@pytest.fixture(autouse=True)
def unwritten_memory_is_nan():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def assert_that_of_the_loop(
    sizes: tuple[int, int, int, Tiles], kind: str, dtype: torch.dtype
) -> None:
    *shape, tiles = sizes
    args, noise = arguments("lstm", *shape, dtype), noise_of("lstm", kind, *shape)
    exact = [x.detach().double().requires_grad_() for x in args]

    def kernel(*given: Tensor) -> tuple[Tensor, ...]:
        return lstm(*given, of_type(noise, dtype), Triton(tiles=tiles))

    found, expected = results(lambda *a: kernel(*a[:4]), args, noise), results(loop, exact, noise)
    for a, b in zip(chain(*found), chain(*expected), strict=True):
        assert a.dtype == dtype
        bound = CLOSE[dtype] * float(b.detach().abs().max())
        assert float((a.detach().double() - b.detach()).abs().max()) <= bound


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_loop_in_float64(kind: str):
    assert_that_of_the_loop(SMALL, kind, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", ["untied", "all"])
def test_half_precision_is_as_close_as_its_digits_allow(kind: str, dtype: torch.dtype):
    assert_that_of_the_loop(SMALL, kind, dtype)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_all_sizes_agree_with_the_loop(sizes: tuple[int, int, int, Tiles]):
    assert_that_of_the_loop(sizes, "all", torch.float32)


def test_gates_with_masks_of_their_own_agree_where_tiles_have_edges():
    assert_that_of_the_loop(SIZES[2], "untied", torch.float32)


def test_inputs_in_any_layout_and_outputs_without_gradient_serve():
    time, batch, unit = 2, 3, 5
    plain = arguments("lstm", time, batch, unit, torch.float32)
    gates, hidden, cell, weight = (x.detach() for x in plain)
    gates = gates.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0).requires_grad_()
    weight = weight.t().contiguous().t().requires_grad_()
    grads = []
    for kernel in (Triton(), None):
        states, _, last = lstm(gates, hidden, cell, weight, NO_NOISE, kernel)
        # The gradient of a sum is one number expanded, and the cell has none.
        grads += [torch.autograd.grad(states.sum(), (gates, weight), retain_graph=True)]
        grads[-1] += torch.autograd.grad(last.sum(), (gates, weight))
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_second_derivatives_are_those_of_the_loop(dtype: torch.dtype):
    """By the gates alone too, which the kernel does not hold."""
    time, batch, unit = 2, 3, 5
    args, noise = (
        arguments("lstm", time, batch, unit, dtype),
        noise_of("lstm", "all", time, batch, unit),
    )
    factors = [torch.ones_like(x).requires_grad_() for x in args]

    def seconds(run, noise):
        outputs = run(*(x * y for x, y in zip(args, factors, strict=True)), noise)
        total = sum(x.float().sum() for x in outputs)
        grads = torch.autograd.grad(total, args, create_graph=True)  # pyright: ignore
        penalty = sum(x.float().square().sum() for x in grads)
        return [torch.autograd.grad(penalty, x, retain_graph=True)[0] for x in factors]  # pyright: ignore

    found = seconds(lambda *given: lstm(*given, Triton()), of_type(noise, dtype))
    expected = seconds(loop, of_type(noise, dtype))
    for a, b in zip(found, expected, strict=True):
        bound = (1e-4 if dtype == torch.float32 else 0.1) * float(b.abs().max())
        assert float((a - b).abs().max()) <= bound


def test_shares_of_zero_leave_state_and_cell_exactly_as_they_were():
    args = arguments("lstm", 2, 2, 5, torch.float32)
    none = torch.zeros(2, 2, 1)
    noise = StateNoise(hidden_update=none, cell_update=none)
    _, hidden, cell = lstm(*args, noise, Triton())
    assert torch.equal(hidden, args[1])
    assert torch.equal(cell, args[2])


# The interpreter's exponential warns where a GPU's is silently infinite, and its sigmoid 0.
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
def test_states_are_the_same_again_and_those_of_torch_where_scores_are_extreme():
    args = [x.detach() for x in arguments("lstm", 2, 2, 5, torch.float32)]
    args[0][:, 0], args[0][:, 1] = 80.0, -80.0
    first, second, theirs = (lstm(*args, NO_NOISE, k) for k in (Triton(), Triton(), None))
    assert torch.equal(first[0], second[0])
    torch.testing.assert_close(first, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_a_layer_runs_the_kernel_it_holds(packed: bool, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    layer = LSTM(4, 5, bidirectional=True)
    x = drawn(1, 3, 2, 4).float()
    given = pack_padded_sequence(x, torch.tensor([3, 2])) if packed else x
    masks = {"recurrent_l0": 2 * (drawn(2, 2, 4, 1, 5) > 0).float()}
    expected = layer(given, masks=masks)[0]
    grads = torch.autograd.grad((expected.data if packed else expected).sum(), layer.parameters())
    layer.kernel = Triton()
    layer = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
    calls = counted(monkeypatch)
    found = layer(given, masks=masks)[0]
    assert calls == ["forward"] * 2
    torch.testing.assert_close(found.data, expected.data, atol=1e-6, rtol=1e-5)
    mine = torch.autograd.grad((found.data if packed else found).sum(), layer.parameters())
    torch.testing.assert_close(mine, grads, atol=1e-5, rtol=1e-5)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes every forward of a sequence of the kernel's."""
    from dropsmith.kernels.lstm import triton

    calls, steps = [], triton._forward

    def noted(*given):
        calls.append("forward")
        return steps(*given)

    monkeypatch.setattr(triton, "_forward", noted)
    return calls


def test_captures_are_refused_without_a_gpu_and_doubles_on_any():
    args = arguments("lstm", 1, 1, 2, torch.float32)
    with pytest.raises(KernelError, match="runs on a GPU, but the input is on cpu"):
        lstm(*args, NO_NOISE, Triton(graphs=Graphs()))
    with pytest.raises(KernelError, match="does not support float64\n  it supports float32"):
        lstm(*(x.double() for x in args), NO_NOISE, Triton())
