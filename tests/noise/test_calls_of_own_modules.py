"""Attention functions and in-place dropout that modules of the user's own call, seen everywhere."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.activations.block_outputs import Reads
from dropsmith.activations.block_readings import read_blocks
from dropsmith.activations.read_taps import taps
from dropsmith.noise.find_sites import sites
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import Bernoulli, TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.native_rules import native_plan
from dropsmith.prediction.run_predict import predict
from noise.zoo import FLIPS, near, seeded, share

ROWS, TIME, WIDTH = 16, 12, 8
X = seeded(ROWS, TIME, WIDTH)
NEVER = Bernoulli(rate=0.0)


class Heads(nn.Module):
    """Calls `F.multi_head_attention_forward` itself, time first inside."""

    def __init__(self, rate=0.25, by_name=False, need_weights=True):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3 * WIDTH, WIDTH) / WIDTH**0.5)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.rate, self.by_name, self.need_weights = rate, by_name, need_weights

    def forward(self, x):
        x = x.transpose(0, 1)
        names = ("query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight",
                 "in_proj_bias", "bias_k", "bias_v", "add_zero_attn", "dropout_p",
                 "out_proj_weight", "out_proj_bias")  # fmt: skip
        given = (x, x, x, WIDTH, 2, self.weight, None, None, None, False, self.rate,
                 self.out.weight, self.out.bias)  # fmt: skip
        args, kwargs = ((), dict(zip(names, given, strict=True))) if self.by_name else (given, {})
        return F.multi_head_attention_forward(
            *args, **kwargs, training=self.training, need_weights=self.need_weights
        )[0].transpose(0, 1)


def weights_by_hand(net, x):
    query, key, _ = (x @ net.weight.T).chunk(3, -1)
    query, key = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in (query, key))
    return (query @ key.mT / (WIDTH // 2) ** 0.5).softmax(-1)


EVERY_WAY = pytest.mark.parametrize(
    ("by_name", "need_weights"), [(False, True), (True, True), (False, False), (True, False)]
)


@EVERY_WAY
def test_heads_called_as_a_function_are_a_site_and_a_draw(by_name, need_weights):
    net = nn.Sequential(Heads(by_name=by_name, need_weights=need_weights))
    (site,) = [site for site in sites(net, X) if site.native]
    assert (site.name, site.kind, site.rate) == ("0.attention()", "attention", 0.25)
    assert site.sizes == (ROWS, 2, TIME, TIME)
    row = audit(net, X)["0.attention()"]
    assert (row.how, row.on, row.differ) == ("torch", True, True)
    assert near(0.25, (row.dropped, row.elements))
    assert native_plan(net, X) == Plan(rule("0.attention()", Bernoulli(rate=0.25)))


@EVERY_WAY
@pytest.mark.parametrize("pattern", [FLIPS, TorchDropout(rate=0.5)])
def test_heads_called_as_a_function_take_a_rule(by_name, need_weights, pattern):
    net = nn.Sequential(Heads(by_name=by_name, need_weights=need_weights))
    want = net.eval()(X)
    with Plan(rule("0.attention()", NEVER)).installed(net.train()):
        torch.testing.assert_close(net(X), want)
    with Plan(rule("0.attention()", pattern)).installed(net):
        row = audit(net, X)["0.attention()"]
        assert near(0.5, (row.dropped, row.elements))
        assert row.how == ("keyed" if pattern is FLIPS else "retuned")
        assert torch.equal(net.eval()(X), want)


@EVERY_WAY
def test_heads_called_as_a_function_are_sampled_by_predict(by_name, need_weights):
    net = nn.Sequential(Heads(by_name=by_name, need_weights=need_weights)).train()
    torch.manual_seed(0)
    with torch.no_grad():
        by_hand = torch.stack([net(X) for _ in range(600)]).var(0).mean()
    ours = predict(net, X, samples=600, kind="values").variance.mean()
    assert abs(float(ours / by_hand) - 1) < 0.1


@EVERY_WAY
def test_heads_called_as_a_function_are_read(by_name, need_weights):
    from dropsmith.kernels.attention_divergence.reference import matrix

    net = nn.Sequential(Heads(by_name=by_name, need_weights=need_weights))
    want = weights_by_hand(net[0], X)
    with taps(net, attention="**") as read, read_blocks(net, Reads(blocks="0")) as blocks:
        net(X)
    torch.testing.assert_close(read.attention["0.attention()"], want)
    torch.testing.assert_close(matrix(blocks.layers[0].attention[0][1]), want)


class Grouped(nn.Module):
    """Grouped attention whose values have heads of their own number."""

    def __init__(self, keys, values, rate=0.25):
        super().__init__()
        self.heads, self.rate = (4, keys, values), rate

    def forward(self, x):
        q, k, v = (x.unflatten(-1, (4, -1)).transpose(1, 2)[:, :heads] for heads in self.heads)
        rate = self.rate if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, enable_gqa=True)
        return out.transpose(1, 2).flatten(2)


GROUPS = pytest.mark.parametrize(("keys", "values"), [(2, 4), (4, 2), (1, 2), (2, 1), (2, 2)])


@GROUPS
def test_groups_of_values_that_are_not_those_of_keys_work_everywhere(keys, values):
    from dropsmith.kernels.attention_divergence.reference import matrix

    net = nn.Sequential(Grouped(keys, values))
    q, k, v = (
        X.unflatten(-1, (4, -1)).transpose(1, 2)[:, :heads].repeat_interleave(4 // heads, 1)
        for heads in (4, keys, values)
    )
    weights = (q @ k.mT / 2**0.5).softmax(-1)
    want = (weights @ v).transpose(1, 2).flatten(2)
    with Plan(rule("0.attention()", NEVER)).installed(net):
        torch.testing.assert_close(net(X), want)
    (site,) = [site for site in sites(net, X) if site.native]
    assert site.sizes == (ROWS, 4, TIME, TIME)
    row = audit(net, X)["0.attention()"]
    assert near(0.25, (row.dropped, row.elements))
    with taps(net, attention="**") as read, read_blocks(net, Reads(blocks="0")) as blocks:
        net(X)
    torch.testing.assert_close(read.attention["0.attention()"], weights)
    torch.testing.assert_close(matrix(blocks.layers[0].attention[0][1]), weights)
    torch.manual_seed(0)
    by_hand = torch.stack([net(X) for _ in range(600)]).var(0).mean()
    ours = predict(net, X, samples=600, kind="values").variance.mean()
    assert abs(float(ours / by_hand) - 1) < 0.1


def test_attention_that_drops_in_any_mode_is_drawn_by_us_in_any_mode():
    class Always(nn.Module):
        def forward(self, x):
            eye = torch.eye(TIME).expand(len(x), 1, TIME, TIME)
            return F.scaled_dot_product_attention(x[:, None], x[:, None], eye, dropout_p=0.2)

    net = Always().eval()
    with Plan(rule("root.attention()", FLIPS)).installed(net):
        assert near(0.5, share(net(X)))
    assert near(0.2, share(net(X)))


IN_PLACE = {
    "module": ("drop", lambda net, x: net.drop(x)),
    "function": ("root.dropout()", lambda net, x: F.dropout(x, 0.2, net.training, inplace=True)),
    "builtin": ("root.dropout()", lambda net, x: torch.dropout_(x, 0.2, net.training)),
}


class InPlace(nn.Module):
    """Drops in place and goes on with the tensor it had."""

    def __init__(self, name, uses_result=False):
        super().__init__()
        self.drop, self.call, self.uses_result = (
            nn.Dropout(0.2, inplace=True),
            IN_PLACE[name][1],
            uses_result,
        )

    def forward(self, x):
        x = x * 1.0
        result = self.call(self, x)
        return result if self.uses_result else x


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("uses_result", [True, False])
@pytest.mark.parametrize("pattern", [FLIPS, TorchDropout(rate=0.5)])
def test_dropout_in_place_changes_its_tensor(name, uses_result, pattern):
    net, x = InPlace(name, uses_result), torch.ones(64, 16, requires_grad=True)
    with Plan(rule(IN_PLACE[name][0], pattern)).installed(net):
        y = net(x)
        (grad,) = torch.autograd.grad(y.sum(), x)
        assert near(0.5, share(y))
        assert torch.equal(grad, y.detach())
        with noise_of(net).passing(ForwardPass()):
            drops = net(x)
        with noise_of(net).passing(ForwardPass()):
            net.uses_result = not uses_result
            if pattern is FLIPS:
                assert torch.equal(net(x), drops)
        assert torch.equal(net.eval()(x), x)


class Named(NamedTuple):
    states: torch.Tensor
    count: int


@dataclass(frozen=True)
class Record:
    states: torch.Tensor
    count: int = 3


class Returns(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def model_output(x):
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=x)


OUTPUTS = {
    "tuple": lambda x: (x, 3),
    "list": lambda x: [x, 3],
    "mapping": lambda x: {"states": x, "count": 3},
    "named tuple": lambda x: Named(x, 3),
    "dataclass": Record,
    "model output": model_output,
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_leading_tensor_of_any_output_is_listed_read_and_dropped(name):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Returns(OUTPUTS[name])

        def forward(self, x):
            self.output = self.inner(x)
            if isinstance(self.output, dict):
                return next(iter(self.output.values()))
            return self.output[0] if isinstance(self.output, tuple | list) else self.output.states

    net, x = Outer(), torch.ones(ROWS, TIME, WIDTH)
    listed = {site.name: site for site in sites(net, x)}
    assert listed["inner"].sizes == (ROWS, TIME, WIDTH)
    assert listed["inner"].axes == ("batch", "time", "unit")
    with taps(net, hidden="inner") as read:
        net(x)
    assert torch.equal(read.hidden["inner"], x)
    before = type(net.output)
    with Plan(rule("inner", FLIPS)).installed(net, x):
        assert near(0.5, share(net(x)))
    assert type(net.output) is before
    if name == "dataclass":
        assert net.output.count == 3
    elif name != "model output":
        rest = net.output.values() if isinstance(net.output, dict) else net.output
        assert list(rest)[1:] == [3]
