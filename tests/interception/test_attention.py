"""Attention written out equals torch's own, whatever masks, heads and scale it is given."""

import pytest
import torch
import torch.nn.functional as F

from dropsmith.errors import SiteError
from dropsmith.interception import attention
from dropsmith.interception.torch_ops import decode
from noise.zoo import seeded

B, H, L, S, D = 2, 4, 5, 7, 8


def attend(*qkv, drop, **settings):
    return attention.attend(decode(F.scaled_dot_product_attention, qkv, settings), drop)


def probabilities(query, key, attn_mask=None):
    call = decode(F.scaled_dot_product_attention, (query, key, key, attn_mask))
    return attention.probabilities(call)


def inputs(dtype=torch.float64, keys=H, source=S):
    q = seeded(B, H, L, D, seed=1).to(dtype)
    k, v = (seeded(B, keys, source, D, seed=seed).to(dtype) for seed in (2, 3))
    return [x.requires_grad_() for x in (q, k, v)]


BOOLEAN = seeded(B, 1, L, S, seed=4) > 0
BOOLEAN[..., 0] = True
SETTINGS = {
    "plain": {},
    "causal": {"is_causal": True},
    "boolean": {"attn_mask": BOOLEAN},
    "float": {"attn_mask": seeded(B, H, L, S, seed=5).double()},
    "minus infinity": {
        "attn_mask": torch.zeros(L, S).masked_fill(~BOOLEAN[0, 0], -torch.inf).double()
    },
    "scale": {"scale": 0.3},
    "grouped": {"enable_gqa": True},
    "grouped causal": {"enable_gqa": True, "is_causal": True},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_values_and_gradients_equal_fused_attention_where_nothing_is_dropped(name):
    settings = SETTINGS[name]
    qkv = inputs(keys=2 if "grouped" in name else H)
    want = F.scaled_dot_product_attention(*qkv, **settings)
    got = attend(*qkv, **settings, drop=lambda weights: weights)
    torch.testing.assert_close(got, want)
    weight = seeded(*want.shape).double()
    torch.testing.assert_close(
        torch.autograd.grad((got * weight).sum(), qkv),
        torch.autograd.grad((want * weight).sum(), qkv),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_also_with_a_float_mask(dtype):
    qkv = inputs(dtype)
    mask = SETTINGS["float"]["attn_mask"].to(dtype)
    want = F.scaled_dot_product_attention(*qkv, attn_mask=mask)
    got = attend(*qkv, attn_mask=mask, drop=lambda weights: weights)
    assert got.dtype == dtype
    torch.testing.assert_close(got, want, rtol=0, atol=8 * torch.finfo(dtype).eps)
    wide = attend(*qkv, attn_mask=mask.float(), drop=lambda weights: weights)
    assert wide.dtype == dtype


def test_a_query_that_may_look_nowhere_gets_zeros_and_finite_gradients():
    q, k, v = inputs()
    mask = BOOLEAN.clone()
    mask[0, 0, 2] = False
    out = attend(q, k, v, attn_mask=mask, drop=lambda weights: weights)
    assert bool((out[0, :, 2] == 0).all())
    grads = torch.autograd.grad(out.sum(), (q, k, v))
    assert all(bool(grad.isfinite().all()) for grad in grads)


def test_probabilities_equal_the_definition_row_by_row():
    q, k, _ = inputs()
    mask = SETTINGS["float"]["attn_mask"]
    got = probabilities(q, k, mask)
    for head in range(H):
        for query in range(L):
            scores = torch.stack([(q[1, head, query] * k[1, head, s]).sum() for s in range(S)])
            exp = (scores / D**0.5 + mask[1, head, query]).exp()
            torch.testing.assert_close(got[1, head, query], exp / exp.sum())


def test_what_is_dropped_are_the_probabilities_before_the_values():
    q, k, v = inputs()
    seen = []

    def drop(weights):
        seen.append(weights)
        return weights * 2

    out = attend(q, k, v, drop=drop)
    torch.testing.assert_close(seen[0].sum(-1), torch.ones(B, H, L, dtype=torch.float64))
    torch.testing.assert_close(out, 2 * F.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize(("keys", "values"), [(2, 4), (4, 2), (1, 2), (2, 1)])
def test_groups_of_keys_and_of_values_may_differ(keys, values):
    q = seeded(B, H, L, D, seed=1).double()
    k = seeded(B, keys, S, D, seed=2).double()
    v = seeded(B, values, S, D, seed=3).double()
    got = attend(q, k, v, enable_gqa=True, drop=lambda weights: weights)
    for head in range(H):
        scores = q[:, head] @ k[:, head // (H // keys)].transpose(1, 2) / D**0.5
        want = scores.softmax(-1) @ v[:, head // (H // values)]
        torch.testing.assert_close(got[:, head], want)
    torch.testing.assert_close(got, F.scaled_dot_product_attention(q, k, v, enable_gqa=True))


def test_one_key_head_serves_all_heads_also_by_broadcasting():
    q, k, v = seeded(B, H, L, D), seeded(B, 1, S, D, seed=2), seeded(B, 1, S, D, seed=3)
    got = attend(q, k, v, drop=lambda weights: weights)
    torch.testing.assert_close(got, F.scaled_dot_product_attention(q, k, v))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_nested_tensors_are_refused_in_words():
    nested = torch.nested.nested_tensor([seeded(2, 3, 4), seeded(2, 5, 4)])
    with pytest.raises(SiteError, match="padded tensors"):
        attend(nested, nested, nested, drop=lambda weights: weights)


HEADS = {
    "batched": lambda x, w: (x, x, x, 8, 2, w[0], None, None, None, False, 0.1, w[1], None),
    "zero": lambda x, w: (x, x, x, 8, 2, w[0], None, None, None, True, 0.1, w[1], None),
    "extra key": lambda x, w: (x, x, x, 8, 2, w[0], None, w[2], w[2], True, 0.1, w[1], None),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("sizes", [(5, 3, 8), (5, 8)])
def test_sizes_of_multi_head_attention_are_those_of_its_weights(name, sizes):
    if name == "extra key" and len(sizes) == 2:
        pytest.skip("torch takes no extra keys without a batch")
    weights = seeded(24, 8), seeded(8, 8), seeded(1, 1, 8)
    call = decode(F.multi_head_attention_forward, HEADS[name](seeded(*sizes), weights))
    got = attention.probabilities(call)
    rows = got if got.ndim == 4 else got.unsqueeze(0)
    assert attention.attention_sizes(call) == tuple(rows.shape)
    torch.testing.assert_close(got.sum(-1), torch.ones(got.shape[:-1]))
