"""Attention under a plan: at rate 0 torch's own result, else noise wherever it is computed."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of
from dropsmith.patterns import Bernoulli, Off, TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import (
    FLIPS,
    TIME,
    WIDTH,
    near,
    seeded,
    sentences,
    share,
    tiny_bert,
    tiny_gpt2,
)

X = seeded(64, TIME, WIDTH)
NEVER = Bernoulli(rate=0.0)


class Attends(nn.Module):
    """Fused attention of the given arguments over one random sequence."""

    def __init__(self, **settings):
        super().__init__()
        self.settings = settings

    def forward(self, q, k, v):
        rate = 0.5 if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, dropout_p=rate, **self.settings)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({}, 4),
        ({"is_causal": True}, 4),
        ({"attn_mask": seeded(5, 5) > -1}, 4),
        ({"attn_mask": seeded(2, 4, 5, 5)}, 4),
        ({"scale": 0.7}, 4),
        ({"enable_gqa": True, "is_causal": True}, 2),
    ],
)
def test_fused_attention_with_noise_of_rate_zero_equals_torchs_own(settings, keys):
    batch = seeded(2, 4, 5, 8), seeded(2, keys, 5, 8, seed=1), seeded(2, keys, 5, 8, seed=2)
    net = Attends(**settings)
    want = net.eval()(*batch)
    with Plan(rule("root.attention()", NEVER)).installed(net.train()):
        torch.testing.assert_close(net(*batch), want)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    "settings", [{}, {"bias": False, "kdim": 3, "vdim": 5}, {"add_bias_kv": True}]
)
def test_multi_head_attention_with_noise_of_rate_zero_equals_torchs_own(
    batch_first, need_weights, settings
):
    torch.manual_seed(0)
    heads = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=batch_first, **settings)
    net = nn.ModuleList([heads])
    q = seeded(3, 4, 8)
    k, v = seeded(3, 4, settings.get("kdim", 8)), seeded(3, 4, settings.get("vdim", 8))
    rows = 3 if batch_first else 4
    hidden = torch.zeros(rows, 7 - rows, dtype=torch.bool)
    hidden[0, 1:] = True
    want = heads.eval()(q, k, v, key_padding_mask=hidden, need_weights=need_weights)
    heads.train()
    with Plan(rule("0.attention()", NEVER)).installed(net):
        got = heads(q, k, v, key_padding_mask=hidden, need_weights=need_weights)
    torch.testing.assert_close(got[0], want[0])
    assert (got[1] is None) == (not need_weights)
    if need_weights:
        torch.testing.assert_close(got[1], want[1])


def test_multi_head_attention_drops_the_same_with_weights_and_without():
    torch.manual_seed(0)
    heads = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    net = nn.ModuleList([heads])
    Plan(rule("0.attention()", FLIPS)).install(net)
    x = seeded(3, 4, 8)
    outputs = []
    for need_weights in (True, False):
        with noise_of(net).passing(ForwardPass()):
            outputs.append(heads(x, x, x, need_weights=need_weights)[0])
    torch.testing.assert_close(*outputs)


def test_multi_head_attention_called_as_a_function_by_name_is_reached():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.out = nn.Parameter(seeded(24, 8)), nn.Parameter(seeded(8, 8))

        def forward(self, x):
            return F.multi_head_attention_forward(
                query=x, key=x, value=x, embed_dim_to_check=8, num_heads=2, dropout_p=0.0,
                in_proj_weight=self.weight, in_proj_bias=None, bias_k=None, bias_v=None,
                add_zero_attn=False, out_proj_weight=self.out, out_proj_bias=None,
                training=self.training, average_attn_weights=False,
            )[1]  # fmt: skip

    net = nn.Sequential(Own())
    with Plan(rule("0.attention()", FLIPS)).installed(net):
        assert near(0.5, share(net(seeded(20, 30, 8))))


@pytest.mark.parametrize("pattern", [NEVER, Off()])
def test_a_transformer_encoder_without_noise_equals_its_own_in_eval_mode(pattern):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.5, batch_first=True)
    net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    want = net.eval()(X)
    plan = Plan(rule("**.dropout*", pattern), rule("**.attention()", pattern))
    with plan.installed(net.train()):
        torch.testing.assert_close(net(X), want)


@pytest.mark.parametrize("pattern", [FLIPS, TorchDropout(rate=0.5)])
def test_a_transformer_encoder_samples_in_eval_mode_without_gradients(pattern):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    net = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).eval()
    for site in ("layers.0.self_attn.attention()", "layers.0.dropout1"):
        with torch.no_grad(), Plan(rule(site, pattern)).installed(net):
            want = net(X)
            with noise_of(net).passing(ForwardPass(sampling=True)):
                assert not torch.allclose(net(X), want)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_hugging_face_attention_is_retuned_silenced_and_drawn(make, attention):
    batch = sentences()
    want = make(attention, rate=0.0).eval()(**batch).last_hidden_state
    sites = "**.attention()" if attention == "sdpa" else "**.{}.dropout()".format(
        "self" if make is tiny_bert else "attn"
    )  # fmt: skip
    noise_free = rule("**", Off())
    for pattern, equal in (
        (Off(), True),
        (NEVER, True),
        (FLIPS, False),
        (TorchDropout(rate=0.5), False),
    ):
        model = make(attention, rate=0.3)
        with Plan(noise_free, rule(sites, pattern)).installed(model):
            got = model(**batch).last_hidden_state
        assert torch.allclose(got, want, atol=1e-5) == equal, pattern
