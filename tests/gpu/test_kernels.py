"""Triton's kernels and torch's own operations on a GPU against the references on a CPU."""

from itertools import chain

import pytest
import torch
from torch import Tensor

from dropsmith.kernels.attention_divergence import (
    AttentionInputs,
    AttentionSettings,
    attention_divergence,
)
from dropsmith.kernels.attention_divergence.reference import attention_divergence as whole_matrices
from dropsmith.kernels.fused_linear_consistency import (
    HeadSettings,
    Mix,
    Triton,
    consistency_from_scores,
    fused_linear_consistency,
)
from dropsmith.kernels.fused_linear_consistency.reference import (
    fused_linear_consistency as by_definition,
)
from dropsmith.kernels.keyed_dropout import keyed_dropout, reference, triton
from dropsmith.kernels.lstm import Graphs, Tiles, lstm
from dropsmith.kernels.lstm import Triton as Steps
from dropsmith.kernels.lstm.reference import lstm as loop
from dropsmith.kernels.state_noise import StateNoise
from dropsmith.rng import Key
from kernels.test_fused_linear_consistency import given
from kernels.test_keyed_dropout import KEYS, seeded
from kernels.test_recurrent import arguments, drawn, noise_of, of_type

HALVES = (torch.float32, torch.bfloat16, torch.float16)
CLOSE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def assert_close(found: Tensor, want: Tensor, dtype: torch.dtype) -> None:
    want = want.detach().nan_to_num(0.0)
    bound = CLOSE[dtype] * (float(want.abs().max()) + 1e-6)
    assert found.is_cuda
    assert float((found.detach().cpu().double() - want).abs().max()) <= bound


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (17, 3, 5), (3 * 1024 + 7,), (600, 2000)], ids=str)
def test_keyed_dropout_is_to_the_bit_what_a_cpu_gives(gpu, shape, dtype):
    x = seeded(*shape, dtype=dtype)
    assert triton.serves(x.to(gpu), KEYS[:1], 0.3)
    found = keyed_dropout(x.to(gpu), KEYS[:1], 0.3)
    assert torch.equal(found.cpu(), reference.keyed_dropout(x, KEYS[:1], 0.3))


@pytest.mark.parametrize("views", [1, 2])
def test_keyed_dropout_of_images_keeps_how_they_lie(gpu, views):
    x = seeded(4, 3, 5, 7)
    together = x.to(gpu, memory_format=torch.channels_last).requires_grad_()
    found = keyed_dropout(together, KEYS[:views], 0.4)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found.cpu(), reference.keyed_dropout(x, KEYS[:views], 0.4))
    found.sum().backward()
    ones = reference.keyed_dropout(torch.ones_like(x), KEYS[:views], 0.4)
    assert torch.equal(together.grad.cpu(), ones)  # pyright: ignore


def test_one_compiled_kernel_serves_keys_of_any_size(gpu):
    from dropsmith.kernels.keyed_dropout.triton_drop import drop

    x = torch.ones(100, device=gpu)
    keyed_dropout(x, KEYS[:1], 0.5)
    kernels = drop.device_caches[x.device.index][0]
    before = len(kernels)
    for seed in range(20):
        found = keyed_dropout(x, (Key.of(seed),), 0.5)
        assert torch.equal(found.cpu(), reference.keyed_dropout(x.cpu(), (Key.of(seed),), 0.5))
    assert len(kernels) == before, "some keys compile a kernel of their own"


def test_keyed_dropout_compiled_drops_the_same(gpu):
    x = seeded(64, 100).to(gpu)
    compiled = torch.compile(lambda x: keyed_dropout(x, KEYS[:2], 0.3), fullgraph=True)
    assert torch.equal(compiled(x), keyed_dropout(x, KEYS[:2], 0.3))


@pytest.mark.parametrize("graphs", [None, Graphs()], ids=["launched", "captured"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("kind", ["none", "tied", "untied", "zoneout", "all"])
@pytest.mark.parametrize("sizes", [(4, 17, 33), (7, 3, 130)], ids=str)
def test_the_lstm_is_the_loop_in_float64(gpu, sizes, kind, dtype, graphs):
    args, noise = arguments("lstm", *sizes, dtype), noise_of("lstm", kind, *sizes)
    exact = [x.detach().double().requires_grad_() for x in args]
    want, grads = weighed(list(loop(*exact, noise)), exact)
    mine = [x.detach().to(gpu).requires_grad_() for x in args]
    own = on_gpu(of_type(noise, dtype), gpu)
    for _ in range(2):  # a capture is replayed the second time
        steps = Steps(graphs=graphs, tiles=Tiles(units=32))
        found, others = weighed(list(lstm(*mine, own, steps)), mine)
        for a, b in zip(chain(found, others), chain(want, grads), strict=True):
            assert_close(a, b, dtype)


def weighed(outputs: list[Tensor], args: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and gradients of a sum in which every output counts with weights of its own."""
    weights = [drawn(50 + i, *o.shape).to(o.device) for i, o in enumerate(outputs)]
    total = sum((o.double() * w).sum() for o, w in zip(outputs, weights, strict=True))
    return outputs, list(torch.autograd.grad(total, args))  # pyright: ignore


def on_gpu(noise: StateNoise, gpu: torch.device) -> StateNoise:
    masks = (noise.recurrent, noise.hidden_update, noise.cell_update)
    there = [None if mask is None else mask.to(gpu) for mask in masks]
    return StateNoise(recurrent=there[0], hidden_update=there[1], cell_update=there[2])


@pytest.mark.parametrize("kernel", [None, Triton(), Triton(rows=4, classes=32)], ids=str)
@pytest.mark.parametrize("distance", ["symmetric_kl", "squared"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize(("items", "classes"), [(9, 43), (130, 5001)])
def test_the_head_is_its_definition_in_float64(gpu, items, classes, dtype, distance, kernel):
    tensors = given(views=2, items=items, classes=classes, dtype=dtype)
    settings, mix = HeadSettings(distance=distance, smoothing=0.1), Mix((0.5, 0.25), 1.5)
    exact = [x.detach().double().requires_grad_() if x is not None else None for x in tensors[:3]]
    mine = [x.detach().to(gpu).requires_grad_() if x is not None else None for x in tensors[:3]]
    want, grads = summed(by_definition(*exact, tensors[3], settings, mix), mix, exact)
    made = fused_linear_consistency(*mine, tensors[3].to(gpu), settings, mix, kernel)
    found, others = summed(made, mix, mine)
    for a, b in zip([*found, *others], [*want, *grads], strict=True):
        assert_close(a, b, dtype)


@pytest.mark.parametrize("lacking", [False, True])
@pytest.mark.parametrize("distance", ["symmetric_kl", "squared", "jensen_shannon"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_sums_of_scores_are_those_of_a_head_that_gives_them(gpu, dtype, distance, lacking):
    scores, labels = drawn(1, 2, 70, 301).to(dtype), torch.arange(70) % 300
    labels[3] = -100
    if lacking:
        scores[:, 5, 300] = -torch.inf
    settings, mix = HeadSettings(distance=distance, items=50), Mix((0.5, 0.25), 1.5)
    (mine,) = inputs = [scores.to(gpu).requires_grad_()]
    found, others = summed(consistency_from_scores(mine, labels.to(gpu), settings), mix, inputs)
    (exact,) = inputs = [scores.double().requires_grad_()]
    want, grads = summed(consistency_from_scores(exact, labels, settings), mix, inputs)
    if not lacking:
        identity = torch.eye(301, dtype=torch.float64)
        direct = by_definition(exact, identity, None, labels, settings, mix)
        torch.testing.assert_close(direct.task, want[0])
    for a, b in zip([*found, *others], [*want, *grads], strict=True):
        assert_close(a, b, dtype)


def summed(sums, mix, inputs):
    task = (sums.task.double() * torch.tensor(mix.task, device=sums.task.device).double()).sum()
    total = task + mix.consistency * sums.consistency.double()
    return [sums.task, sums.consistency], torch.autograd.grad(total, list(inputs))


@pytest.mark.parametrize("distance", ["squared", "symmetric_kl"])
def test_attention_in_blocks_is_that_of_whole_matrices(gpu, distance):
    leaves = [seeded(2, 3, 150, 16).flip(0) * scale for scale in (1, 0.5, 0.7, 0.9)]
    real = (torch.arange(150) < 130).expand(2, -1)
    settings = AttentionSettings(distance=distance)
    found, want = (
        agreed(agree, [x.to(device, dtype).requires_grad_() for x in leaves], real, settings)
        for agree, device, dtype in (
            (attention_divergence, gpu, torch.float32),
            (whole_matrices, torch.device("cpu"), torch.float64),
        )
    )
    for a, b in zip(found, want, strict=True):
        assert_close(a, b, torch.float32)


def agreed(agree, leaves, real, settings):
    real = real.to(leaves[0].device)
    mask = real[:, None, None]
    first, second = (
        AttentionInputs(leaves[0], leaves[1], mask),
        AttentionInputs(leaves[2], leaves[3], mask),
    )
    made = agree(first, second, real, settings)
    return [made.sum, *torch.autograd.grad(made.sum, leaves)]
