"""Noise that is a call: retuned, silenced, drawn by us, shared; at rate 0 what torch returns."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.patterns import Bernoulli, Native, Off
from dropsmith.sites import Pass, Plan, noise_of, rule
from sites.zoo import (
    FLIPS,
    ONES,
    TIME,
    WIDTH,
    Functional,
    Fused,
    Heads,
    copying_rnn,
    seeded,
    sentences,
    tiny_bert,
    tiny_gpt2,
)

X = seeded(64, TIME, WIDTH)
NEVER = Bernoulli(rate=0.0)
# The call's own site, and a model that declares rate one half at it.
CALLS = {
    "functional": (
        "0.dropout()",
        lambda: nn.Sequential(Functional()),
        lambda y: y / X.unsqueeze(1),
    ),
    "fused": ("0.attention()", lambda: nn.Sequential(Fused()), lambda y: y * TIME),
    "heads": ("0.attention.attention()", lambda: nn.Sequential(Heads()), lambda y: y),
    "between": ("0.between()", lambda: nn.Sequential(copying_rnn()), lambda y: y[0]),
}
EVERY = pytest.mark.parametrize("name", CALLS)


def share(values):
    return (values == 0).double().mean().item(), values.numel()


def near(rate, found):
    share, count = found
    return abs(share - rate) < 5 * (rate * (1 - rate) / count) ** 0.5


def batch_of(name):
    return torch.ones_like(X) if name == "between" else X


@EVERY
@pytest.mark.parametrize("pattern", [Bernoulli(rate=0.2), Native(rate=0.2)])
def test_a_rate_is_replaced_whoever_draws(name, pattern):
    site, make, read = CALLS[name]
    net = make()
    assert near(0.5, share(read(net(batch_of(name)))))
    with Plan(rule(site, pattern)).installed(net):
        assert near(0.2, share(read(net(batch_of(name)))))
    assert near(0.5, share(read(net(batch_of(name)))))


@EVERY
def test_off_and_rate_zero_are_what_torch_returns_without_noise(name):
    site, make, read = CALLS[name]
    net = make()
    want = read(make().eval()(batch_of(name)))
    for pattern in (Off(), NEVER, Native(rate=0.0)):
        with Plan(rule(site, pattern)).installed(net):
            torch.testing.assert_close(read(net(batch_of(name))), want)


@EVERY
def test_retuned_noise_is_torchs_own_draw_from_its_generator(name):
    site, make, read = CALLS[name]
    net, own = make(), make()
    if name == "between":
        own[0].dropout = 0.3
    elif name == "heads":
        own[0].attention.dropout = 0.3
    else:
        own[0].rate = 0.3
    torch.manual_seed(5)
    want = read(own(batch_of(name)))
    with Plan(rule(site, Native(rate=0.3))).installed(net):
        torch.manual_seed(5)
        assert torch.equal(read(net(batch_of(name))), want)


@EVERY
def test_a_shared_axis_is_shared(name):
    site, make, read = CALLS[name]
    net = make()
    with Plan(rule(site, Bernoulli(rate=0.5, shared="batch"))).installed(net):
        dropped = read(net(batch_of(name))) == 0
    assert bool((dropped == dropped[0]).all())
    assert bool(dropped.any())
    assert not bool(dropped.all())


@EVERY
def test_views_that_share_have_one_mask_and_others_have_two(name):
    site, make, _ = CALLS[name]
    for views, same in (("shared", True), ("fresh", False)):
        net = make()
        Plan(rule(site, FLIPS, views=views)).install(net)
        with noise_of(net).passing(Pass(views=(0, 1), rows=64)):
            y = net(torch.cat([batch_of(name)[:32]] * 2))
        y = y[0] if isinstance(y, tuple) else y
        first, second = (y == 0).chunk(2)
        assert torch.equal(first, second) == same


@EVERY
def test_in_eval_mode_there_is_no_noise_unless_sampling(name):
    site, make, read = CALLS[name]
    for pattern in (FLIPS, Native(rate=0.5)):
        net = make().eval()
        want = read(net(batch_of(name)))
        Plan(rule(site, pattern)).install(net)
        torch.testing.assert_close(read(net(batch_of(name))), want)
        with noise_of(net).passing(Pass(sampling=True)):
            assert near(0.5, share(read(net(batch_of(name)))))


class Loose(nn.Module):
    """Functional dropout of any sort, with any arguments."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


SORTS = {
    "dropout": lambda x: F.dropout(x, p=0.9),
    "by name": lambda x: F.dropout(input=x, p=0.9, training=True),
    "torch.dropout": lambda x: torch.dropout(x, 0.9, True),
    "train=": lambda x: torch.dropout(x, p=0.9, train=True),
    "1d": lambda x: F.dropout1d(x, 0.9),
    "2d": lambda x: F.dropout2d(x[:, :, None], 0.9).squeeze(2),
    "3d": lambda x: F.dropout3d(x[:, :, None, None], 0.9).squeeze(2, 3),
    "alpha": lambda x: F.alpha_dropout(x, 0.9, training=True),
    "feature alpha": lambda x: F.feature_alpha_dropout(x, 0.9, training=True),
}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("pattern", [FLIPS, Native(rate=0.0)])
def test_every_sort_of_functional_dropout_is_reached(sort, pattern):
    net = nn.Sequential(Loose(SORTS[sort]))
    with Plan(rule("0.dropout()", pattern)).installed(net):
        dropped = share(net(X))
    assert near(0.5, dropped) if pattern is FLIPS else dropped[0] == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.dropout(x, 0.9, training=False),
        lambda x: F.alpha_dropout(x, 0.9),
        lambda x: F.feature_alpha_dropout(x, 0.9),
    ],
)
def test_a_call_that_is_switched_off_stays_off(call):
    net = nn.Sequential(Loose(call))
    Plan(rule("0.dropout()", Native(rate=0.5))).install(net)
    assert torch.equal(net(X), X)


def test_dropout_in_place_happens_in_place():
    def call(x):
        y = x.clone()
        F.dropout(y, 0.9, inplace=True)
        return y

    for pattern in (FLIPS, Native(rate=0.5)):
        net = nn.Sequential(Loose(call))
        with Plan(rule("0.dropout()", pattern)).installed(net):
            assert near(0.5, share(net(X)))


class Block(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.0, self.training)


class Listed(nn.Module):
    """Calls blocks out of a list, and reaches past a child to what is inside it."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block()])
        self.child = nn.Sequential(Block())

    def forward(self, x):
        return F.dropout(self.child[0](self.blocks[0](x)), 0.0, self.training)


@pytest.mark.parametrize("pattern", [FLIPS, Native(rate=0.5)])
@pytest.mark.parametrize("site", ["root.dropout()", "blocks.0.dropout()", "child.0.dropout()"])
def test_a_call_belongs_to_the_module_that_makes_it_and_to_no_other(site, pattern):
    net = Listed()
    with Plan(rule(site, pattern)).installed(net):
        assert near(0.5, share(net(X)))
        assert noise_of(net).fired == {site: 1}


def test_three_owners_inside_one_another_drop_once_each():
    net = Listed()
    with Plan(rule("**.dropout()", Native(rate=0.5))).installed(net):
        assert near(0.875, share(net(X)))


def test_a_call_after_a_child_that_failed_is_still_seen():
    class Catches(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad = Loose(lambda x: 1 / 0)

        def forward(self, x):
            try:
                self.bad(x)
            except ZeroDivisionError:
                return F.dropout(x, 0.0, self.training)

    net = Catches()
    with Plan(rule("root.dropout()", FLIPS)).installed(net):
        assert near(0.5, share(net(X)))


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
        with noise_of(net).passing(Pass()):
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


@pytest.mark.parametrize("pattern", [FLIPS, Native(rate=0.5)])
def test_a_transformer_encoder_samples_in_eval_mode_without_gradients(pattern):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    net = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).eval()
    for site in ("layers.0.self_attn.attention()", "layers.0.dropout1"):
        with torch.no_grad(), Plan(rule(site, pattern)).installed(net):
            want = net(X)
            with noise_of(net).passing(Pass(sampling=True)):
                assert not torch.allclose(net(X), want)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_hugging_face_attention_is_retuned_silenced_and_drawn(make, attention):
    batch = sentences()
    want = make(attention, rate=0.0).eval()(**batch).last_hidden_state
    sites = "**.attention()" if attention == "sdpa" else "**.{}.dropout()".format(
        "self" if make is tiny_bert else "attn"
    )  # fmt: skip
    quiet = rule("**", Off())
    for pattern, equal in ((Off(), True), (NEVER, True), (FLIPS, False), (Native(rate=0.5), False)):
        model = make(attention, rate=0.3)
        with Plan(quiet, rule(sites, pattern)).installed(model):
            got = model(**batch).last_hidden_state
        assert torch.allclose(got, want, atol=1e-5) == equal, pattern


def test_owners_of_calls_count_what_torch_draws_at_their_rate():
    net = nn.Sequential(Functional(times=3), Fused())
    with Plan(rule("**.dropout()", Native(rate=0.1))).installed(net[:1]) as part:
        part(ONES)
        assert noise_of(part).fired == {"0.dropout()": 3}
