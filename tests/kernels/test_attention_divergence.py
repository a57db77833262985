"""Agreement of attention in blocks against the matrices in float64, torch's own, and by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dropsmith.errors import KernelError
from dropsmith.kernels.attention_divergence import (
    AttentionInputs,
    AttentionSettings,
    attention_divergence,
    matrix_divergence,
)
from dropsmith.kernels.attention_divergence.reference import attention_divergence as by_definition
from dropsmith.kernels.attention_divergence.reference import matrix
from dropsmith.testing import record_saved_tensors

ROWS, HEADS, TIME, UNITS = 3, 4, 7, 5
DISTANCES = ("squared", "symmetric_kl", "jensen_shannon")
CLOSE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 0.02, torch.float16: 0.003}
MASKS = ("none", "boolean", "lowest", "minus infinity", "bias of a head", "bias of a pair")
REAL = torch.ones(ROWS, TIME, dtype=torch.bool)
REAL[1, 4:] = False
REAL[2, :2] = False


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def masks(kind: str) -> tuple[list[Tensor | None], list[Tensor]]:
    """A mask for each view, and the leaves it is made of."""
    open_keys = REAL[:, None, None]
    if kind == "none":
        return [None, None], []
    if kind == "boolean":
        return [open_keys, open_keys], []
    if kind in ("lowest", "minus infinity"):
        lowest = torch.finfo(torch.float64).min if kind == "lowest" else -math.inf
        return [torch.zeros(ROWS, 1, 1, TIME).double().masked_fill(~open_keys, lowest)] * 2, []
    rows = 1 if kind == "bias of a head" else ROWS
    leaves = [drawn(5 + view, rows, HEADS, TIME, TIME).requires_grad_() for view in (0, 1)]
    return [torch.where(open_keys, bias, -math.inf) for bias in leaves], leaves


def given(mask="boolean", key_heads=2, causal=False, dtype=torch.float64, keys=TIME):
    """Both views, and the leaves that gradients are taken by."""
    found, extra = masks(mask)
    query = [drawn(v, ROWS, HEADS, TIME, UNITS).to(dtype).requires_grad_() for v in (0, 1)]
    key = [drawn(2 + v, ROWS, key_heads, keys, UNITS).to(dtype).requires_grad_() for v in (0, 1)]
    looks = [
        AttentionInputs(q, k, m, causal, 0.4) for q, k, m in zip(query, key, found, strict=True)
    ]
    return looks, [*query, *key, *extra]


def results(agree, looks, leaves, counted, settings):
    found = agree(*looks, counted, settings)
    return found, torch.autograd.grad(found.sum * 1.7, leaves, retain_graph=True)


def assert_same(looks, leaves, counted, settings, dtype=torch.float64):
    found, grads = results(attention_divergence, looks, leaves, counted, settings)
    wanted, others = results(by_definition, looks, leaves, counted, settings)
    assert found.item_count == wanted.item_count
    for a, b in zip([found.sum, *grads], [wanted.sum, *others], strict=True):
        assert a.dtype == b.dtype
        scale = float(b.detach().abs().max()) + 1e-12
        assert float((a - b).detach().abs().max()) <= CLOSE[dtype] * scale


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_sum_count_and_gradients_are_those_of_the_matrices(mask, causal, distance):
    looks, leaves = given(mask, causal=causal)
    for counted in (None, REAL):
        assert_same(looks, leaves, counted, AttentionSettings(distance=distance, elements=60))


@pytest.mark.parametrize("elements", [1, 29, 150, 400, 2**20])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_neither_the_size_of_a_block_nor_heads_that_share_keys_change_anything(key_heads, elements):
    looks, leaves = given(key_heads=key_heads, causal=True)
    assert_same(looks, leaves, REAL, AttentionSettings(elements=elements))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_computed_wide(dtype, distance):
    looks, leaves = given("boolean", dtype=dtype)
    exact, own = given("boolean")
    for given_, rounded in zip(own, leaves, strict=True):
        given_.data.copy_(rounded.data)
    settings = AttentionSettings(distance=distance, elements=100)
    found, grads = results(attention_divergence, looks, leaves, REAL, settings)
    wanted, others = results(by_definition, exact, own, REAL, settings)
    assert found.sum.dtype == torch.float32
    torch.testing.assert_close(found.sum.double(), wanted.sum, rtol=1e-4, atol=0)
    for a, b in zip(grads, others, strict=True):
        assert a.dtype == dtype
        assert float((a - b).abs().max()) <= CLOSE[dtype] * float(b.abs().max())


def test_automatic_casting_does_not_reach_inside():
    looks, leaves = given(dtype=torch.float32)
    plain, grads = results(attention_divergence, looks, leaves, REAL, AttentionSettings())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast, others = results(attention_divergence, looks, leaves, REAL, AttentionSettings())
    assert torch.equal(plain.sum, cast.sum)
    assert all(torch.equal(a, b) for a, b in zip(grads, others, strict=True))


@pytest.mark.parametrize("keys", [1, 4, 11])
def test_keys_may_be_more_or_fewer_than_queries(keys):
    looks, leaves = given("none", keys=keys)
    assert_same(looks, leaves, REAL, AttentionSettings(elements=50))


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_are_those_of_finite_differences(distance):
    bias = [drawn(8 + v, 1, 2, 3, 4).requires_grad_() for v in (0, 1)]
    sides = [(drawn(v, 2, 2, 3, 2), drawn(2 + v, 2, 1, 4, 2)) for v in (0, 1)]
    leaves = [x.requires_grad_() for side in sides for x in side] + bias

    def value(q, k, r, s, b, c):
        settings = AttentionSettings(distance=distance, elements=9)
        one, other = AttentionInputs(q, k, b, scale=0.7), AttentionInputs(r, s, c, scale=0.7)
        return attention_divergence(one, other, None, settings).sum

    assert torch.autograd.gradcheck(value, leaves, fast_mode=True)


def test_the_matrices_are_those_of_torchs_fused_attention():
    see = torch.eye(TIME, dtype=torch.float64).expand(ROWS, HEADS, TIME, TIME)
    for mask in MASKS:
        (looks, _), _ = given(mask)
        key = looks.key.repeat_interleave(2, 1)
        wanted = F.scaled_dot_product_attention(looks.query, key, see, looks.mask, scale=0.4)
        torch.testing.assert_close(matrix(looks), wanted)


def test_the_distances_are_their_definitions_on_a_case_by_hand():
    # Two keys, of which the second is more likely by a factor of e in view 1.
    query, even = torch.ones(1, 1, 1, 1).double(), torch.zeros(1, 1, 2, 1).double()
    tilted = torch.tensor([0.0, 1.0]).double().view(1, 1, 2, 1)
    looks = AttentionInputs(query, even), AttentionInputs(query, tilted)
    q = 1 / (1 + math.e)
    middle = (0.5 + q) / 2
    forward = 0.5 * math.log(0.5 / q) + 0.5 * math.log(0.5 / (1 - q))
    backward = q * math.log(q / 0.5) + (1 - q) * math.log((1 - q) / 0.5)
    wanted = {
        "squared": (2 * (0.5 - q) ** 2, 2),
        "symmetric_kl": ((forward + backward) / 2, 1),
        "jensen_shannon": (
            (0.5 * math.log(0.5 / middle) + 0.5 * math.log(0.5 / (1 - middle))
             + q * math.log(q / middle) + (1 - q) * math.log((1 - q) / (1 - middle))) / 2,
            1,
        ),
    }  # fmt: skip
    for distance, (value, count) in wanted.items():
        found = attention_divergence(*looks, None, AttentionSettings(distance=distance))
        assert found.sum.item() == pytest.approx(value)
        assert found.item_count == count


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_views_agree_exactly_and_without_a_gradient(distance):
    (looks, _), leaves = given("boolean", causal=True)
    settings = AttentionSettings(distance=distance, elements=80)
    found = attention_divergence(looks, looks, REAL, settings)
    assert not found.sum.detach().any()
    assert not any(g.any() for g in torch.autograd.grad(found.sum, [leaves[0], leaves[2]]))


@pytest.mark.parametrize("distance", DISTANCES)
def test_padding_is_not_counted_and_changes_nothing(distance):
    looks, _ = given("none")
    settings = AttentionSettings(distance=distance, elements=50)
    alone = attention_divergence(*looks, None, settings)
    padded = [
        AttentionInputs(
            F.pad(one.query, (0, 0, 0, 3), value=9.0),
            F.pad(one.key, (0, 0, 0, 3), value=9.0),
            torch.arange(TIME + 3) < TIME,
            scale=0.4,
        )
        for one in looks
    ]
    counted = (torch.arange(TIME + 3) < TIME).expand(ROWS, -1)
    found = attention_divergence(*padded, counted, settings)
    assert found.item_count == alone.item_count
    torch.testing.assert_close(found.sum, alone.sum)


@pytest.mark.parametrize("distance", DISTANCES)
def test_rows_of_padding_that_are_not_numbers_reach_nothing(distance):
    looks, leaves = given("none")
    counted = torch.tensor([True, False, True])[:, None].expand(ROWS, TIME)
    with torch.no_grad():
        for leaf in leaves:
            leaf[1] = math.nan
    settings = AttentionSettings(distance=distance, elements=40)
    found, grads = results(attention_divergence, looks, leaves, counted, settings)
    assert found.sum.isfinite()
    for grad in grads:
        assert grad.isfinite().all()
        assert not grad[1].any()
        assert grad[0].any()


@pytest.mark.parametrize("distance", DISTANCES)
def test_queries_that_may_look_nowhere_are_left_out(distance):
    looks, leaves = given("none")
    shut = torch.ones(ROWS, 1, TIME, TIME, dtype=torch.bool)
    shut[0, :, 3] = False
    looks = [AttentionInputs(one.query, one.key, shut, scale=0.4) for one in looks]
    settings = AttentionSettings(distance=distance, elements=40)
    found, grads = results(attention_divergence, looks, leaves, None, settings)
    per_query = TIME if distance == "squared" else 1
    assert found.item_count == (ROWS * TIME - 1) * HEADS * per_query
    assert all(grad.isfinite().all() for grad in grads)
    assert not grads[0][0, :, 3].any()


def test_nothing_that_counts_is_a_sum_of_nothing():
    looks, leaves = given()
    found, grads = results(
        attention_divergence, looks, leaves, torch.zeros_like(REAL), AttentionSettings()
    )
    assert (found.sum, found.item_count) == (0, 0)
    assert not any(grad.any() for grad in grads)


@pytest.mark.parametrize("distance", DISTANCES)
def test_matrices_that_a_model_wrote_out_give_the_same(distance):
    looks, _ = given("boolean", causal=True)
    settings = AttentionSettings(distance=distance)
    written = matrix_divergence(matrix(looks[0]), matrix(looks[1]), REAL, settings)
    fused = attention_divergence(*looks, REAL, settings)
    assert written.item_count == fused.item_count
    torch.testing.assert_close(written.sum, fused.sum)


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.elements = max(self.elements, out.untyped_storage().nbytes() // out.itemsize)
        return out


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("time", [32, 64])
def test_no_buffer_and_nothing_kept_grows_with_the_square_of_the_length(time, distance):
    sides = [
        AttentionInputs(
            *(drawn(v + 2 * s, 2, 2, time, 4).requires_grad_() for v in (0, 1)), causal=True
        )
        for s in (0, 1)
    ]
    settings, of_queries = AttentionSettings(distance=distance, elements=256), 2 * 2 * time * 4
    with record_saved_tensors() as kept, Largest() as made:
        attention_divergence(*sides, None, settings)
    assert made.elements <= max(256, of_queries)
    given = {x.data_ptr() for side in sides for x in (side.query, side.key)}
    assert sum(x.numel() for x in kept if x.data_ptr() not in given) <= 4 * of_queries


def test_without_gradients_only_the_sum_is_made():
    looks, _ = given()
    with torch.no_grad():
        assert not attention_divergence(*looks, REAL, AttentionSettings()).sum.requires_grad


def test_sizes_that_do_not_fit_and_unknown_distances_are_errors():
    with pytest.raises(KernelError, match="heads a multiple of key heads"):
        AttentionInputs(drawn(0, 1, 3, 2, 4), drawn(0, 1, 2, 2, 4))
    with pytest.raises(KernelError, match="no distance is called 'cosine'"):
        AttentionSettings(distance="cosine")
    with pytest.raises(KernelError, match="1 or more, got 0"):
        AttentionSettings(elements=0)
