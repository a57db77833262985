"""Taps give what modules pass on, and attention before its dropout, each with its graph."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from dropsmith.activations.read_taps import taps
from dropsmith.errors import SiteError
from dropsmith.noise.lookup import noise_of, step
from dropsmith.passes.make_views import views
from dropsmith.patterns import TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select
from noise.zoo import (
    FLIPS,
    WIDTH,
    Functional,
    Fused,
    Heads,
    fitting,
    mlp,
    seeded,
    sentences,
    tiny_bert,
    tiny_gpt2,
)

X = seeded(4, 6, WIDTH)
EAGER = {tiny_bert: "**.self.dropout()", tiny_gpt2: "**.attn.dropout()"}
BOTH_MODELS = pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
BOTH_WAYS = pytest.mark.parametrize("attention", ["sdpa", "eager"])


def eager_softmaxes(make, batch):
    """What a model that writes its attention out computes before any dropout, in float64."""
    model, seen = make("eager").double(), []

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if func in (F.softmax, torch.softmax, torch.Tensor.softmax):
                seen.append(out)
            return out

    with Spy():
        model(**batch)
    return seen


@BOTH_MODELS
@BOTH_WAYS
@pytest.mark.parametrize("pattern", [FLIPS, TorchDropout(rate=0.5)])
def test_attention_is_the_softmax_of_the_eager_model_before_dropout(make, attention, pattern):
    batch = sentences()
    model = make(attention).double()
    site = "**.attention()" if attention == "sdpa" else EAGER[make]
    with Plan(rule(site, pattern)).installed(model), taps(model, attention="**") as read:
        model(**batch)
    # Noise of the first layer reaches the second: only the first is as without.
    first, second = read.attention.values()
    torch.testing.assert_close(first, eager_softmaxes(make, batch)[0])
    torch.testing.assert_close(second.sum(-1), torch.ones_like(second.sum(-1)))


@BOTH_MODELS
@BOTH_WAYS
def test_without_noise_every_layer_is_equal(make, attention):
    batch = sentences()
    model = make(attention).double()
    with taps(model, attention="**") as read:
        model(**batch)
    for got, want in zip(read.attention.values(), eager_softmaxes(make, batch), strict=True):
        torch.testing.assert_close(got, want)


@BOTH_MODELS
@BOTH_WAYS
def test_gradients_flow_from_attention_and_hidden_states_to_the_weights(make, attention):
    model = make(attention)
    layers = "encoder.layer.*" if make is tiny_bert else "h.*"
    with taps(model, hidden=layers, attention="**") as read:
        model(**sentences())
    names = ("query.weight", "c_attn.weight")
    weights = [p for name, p in model.named_parameters() if name.endswith(names)]
    loss = sum(value.square().sum() for value in read.attention.values())
    assert all(bool(grad.any()) for grad in torch.autograd.grad(loss, weights, retain_graph=True))
    loss = sum(value.square().sum() for value in read.hidden.values())
    assert all(bool(grad.any()) for grad in torch.autograd.grad(loss, weights))


def test_hidden_states_are_what_the_model_itself_reports():
    model, batch = tiny_bert(), sentences()
    with taps(model, hidden="encoder.layer.*") as read:
        output = model(**batch, output_hidden_states=True)
    for got, want in zip(read.hidden.values(), output.hidden_states[1:], strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_multi_head_attention_shows_its_probabilities_whatever_it_returns(need_weights, rate):
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.heads = nn.MultiheadAttention(WIDTH, 2, dropout=rate, batch_first=True)

        def forward(self, x):
            return self.heads(x, x, x, need_weights=need_weights)[0]

    model = Attends()
    want = model.heads.eval()(X, X, X, average_attn_weights=False)[1]
    model.heads.train()
    plans = [Plan(), Plan(rule("heads.attention()", FLIPS))]
    for plan in plans:
        with plan.installed(model), taps(model, attention="heads.attention()") as read:
            model(X)
        torch.testing.assert_close(read.attention["heads.attention()"], want)


def test_a_transformer_encoder_is_read_in_eval_mode_without_gradients_too():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, 0.5, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    with torch.no_grad():
        want = model(X)
        with taps(model, hidden="layers.*", attention="**") as read:
            got = model(X)
    torch.testing.assert_close(got, want)
    assert len(read.attention) == len(read.hidden) == 2
    torch.testing.assert_close(read.hidden["layers.1"], want)


@pytest.mark.parametrize("make", [Fused, Heads])
def test_taps_change_no_mask_and_no_draw_of_torchs(make):
    for plan in (Plan(), Plan(rule("**.attention()", FLIPS))):
        model = nn.Sequential(make())
        with plan.installed(model):
            torch.manual_seed(1)
            want = model(X)
            if plan.rules:
                step(model, 0)
            torch.manual_seed(1)
            with taps(model, hidden="0", attention="**") as read:
                got = model(X)
        torch.testing.assert_close(got, want)
        assert torch.equal(got == 0, want == 0)
        assert torch.equal(read.hidden["0"], got)


def test_hidden_states_carry_the_noise_of_the_plan():
    model = nn.Sequential(nn.Identity(), nn.Identity())
    with Plan(rule("0", FLIPS)).installed(model), taps(model, hidden="0") as read:
        y = model(X)
    assert torch.equal(read.hidden["0"], y)
    assert not torch.equal(y, X)


def test_grouped_heads_and_masks_are_read_as_fused_attention_means_them():
    class Grouped(nn.Module):
        def forward(self, q, k, v):
            return F.scaled_dot_product_attention(
                q, k, v, is_causal=True, enable_gqa=True, scale=0.5
            )

    q, k = seeded(2, 4, 5, 3), seeded(2, 2, 5, 3, seed=1)
    see = torch.eye(5).expand(2, 2, 5, 5)
    model = Grouped()
    with taps(model, attention="**") as read:
        want = model(q, k, see)
    torch.testing.assert_close(read.attention["root.attention()"], want)


def test_dropout_that_is_not_on_attention_is_not_read():
    model = nn.Sequential(Functional(), nn.Flatten(1, 2), nn.Dropout(0.5), Fused(0.0))
    with taps(model, attention="**") as read:
        model(X)
    assert list(read.attention) == ["3.attention()"]


def test_a_dropout_module_on_attention_is_read_before_it_drops():
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return self.drop((x @ x.transpose(1, 2)).softmax(-1)) @ x

    model = nn.Sequential(Written())
    with taps(model, attention="**.drop") as read:
        model(X)
    torch.testing.assert_close(read.attention["0.drop"], (X @ X.transpose(1, 2)).softmax(-1))


def test_each_forward_is_read_anew_and_a_module_used_twice_twice():
    shared = nn.Linear(WIDTH, WIDTH)
    model = nn.Sequential(shared, shared)
    with taps(model, hidden="0") as read:
        model(X)
        y = model(2 * X)
    assert list(read.hidden) == ["0", "0#1"]
    assert torch.equal(read.hidden["0#1"], y)
    assert torch.equal(read.hidden["0"], shared(2 * X))


def test_stacked_views_are_read_together():
    model = mlp()
    with taps(model, hidden="1") as read:
        made = views(model, seeded(3, WIDTH), mode="stacked")
    assert read.hidden["1"].shape == (6, 16)
    assert len(made) == 2


def test_selectors_work_as_in_rules():
    model = mlp()
    with taps(model, hidden=select(type="Linear")) as read:
        y = model(seeded(3, WIDTH))
    assert list(read.hidden) == ["0", "3"]
    assert torch.equal(read.hidden["3"], y)


def test_nothing_stays_on_the_model_and_nothing_is_read_after_the_block():
    model = tiny_bert()
    with taps(model, hidden="encoder.layer.*", attention="**") as read:
        model(**sentences())
    kept = dict(read.hidden)
    model(**sentences())
    assert all(read.hidden[name] is kept[name] for name in kept)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "given neither"),
        ({"hidden": "encodr.layer.0"}, r"matched no site[\s\S]*nearest: encoder\.layer\.0"),
        ({"attention": "encoder.layer.9.attention.self.attention()"}, "matched no site"),
    ],
)
def test_a_tap_that_means_nothing_is_an_error_at_once(asked, words):
    model = tiny_bert()
    with pytest.raises(SiteError, match=words), taps(model, **asked):
        pass
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_tap_without_a_forward_is_an_error():
    with pytest.raises(SiteError, match="did not run inside"), taps(mlp(), hidden="0"):
        pass


def test_a_tap_on_what_does_not_run_is_an_error():
    model = tiny_bert("sdpa")
    with (
        pytest.raises(SiteError, match=r"read nothing at select\('\*\*\.dropout\(\)'\)"),
        taps(model, hidden="encoder.layer.*", attention="**.dropout()"),
    ):
        model(**sentences())


def test_an_error_of_the_model_is_not_covered_by_one_of_the_tap():
    with pytest.raises(RuntimeError, match="shapes"), taps(mlp(), hidden="0"):
        mlp()(seeded(3, WIDTH + 1))


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.reentrant, self.body = reentrant, mlp(rate=0.0)

    def forward(self, x):
        if self.reentrant is None:
            return self.body(x)
        return checkpoint(self.body, x.requires_grad_(), use_reentrant=self.reentrant)


def test_taps_inside_checkpointed_blocks_have_gradients_and_are_not_read_again():
    found = []
    for reentrant in (None, False):
        model = Checkpointed(reentrant)
        Plan(rule("body.1", FLIPS)).install(model)
        with taps(model, hidden="body.1") as read:
            (model(seeded(3, WIDTH)).sum() + read.hidden["body.1"].square().sum()).backward()
        assert list(read.hidden) == ["body.1"]
        assert noise_of(model).step == 1
        found.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_taps_without_a_graph_are_refused():
    model = Checkpointed(True)
    with (
        pytest.raises(
            SiteError, match=r"'body\.1' runs without gradients[\s\S]*use_reentrant=False"
        ),
        taps(model, hidden="body.1"),
    ):
        model(seeded(3, WIDTH))
    with torch.no_grad(), taps(model, hidden="body.1") as read:
        model(seeded(3, WIDTH))
    assert not read.hidden["body.1"].requires_grad


def test_every_noise_at_once_and_taps():
    model = tiny_gpt2()
    with fitting(model).installed(model), taps(model, hidden="h.*", attention="**") as read:
        model(**sentences())
    assert (len(read.hidden), len(read.attention)) == (2, 2)
