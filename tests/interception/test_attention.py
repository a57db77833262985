"""Attention written out equals torch's own, whatever masks, heads and scale it is given."""

import pytest
import torch
import torch.nn.functional as F

from dropsmith.interception.attention import attend, probabilities
from noise.zoo import seeded

B, H, L, S, D = 2, 4, 5, 7, 8


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
