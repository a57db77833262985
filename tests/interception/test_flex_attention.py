"""`flex_attention` is seen, read and dropped from like any attention, and nothing stays behind."""

import pytest
import torch
import torch.nn.attention.flex_attention as torchs
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from dropsmith.activations.block_outputs import Reads
from dropsmith.activations.block_readings import read_blocks
from dropsmith.activations.read_taps import taps
from dropsmith.errors import SiteError
from dropsmith.interception.attention import attend, probabilities
from dropsmith.interception.flex_attention import FLEX
from dropsmith.interception.torch_ops import decode
from dropsmith.noise.find_sites import sites
from dropsmith.noise.lookup import noise_of
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import Bernoulli, TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.run_predict import predict
from noise.zoo import FLIPS, near, seeded, share

B, H, L, D = 3, 4, 20, 4
X = seeded(B, L, 8)
SLOPES = torch.tensor([0.5, 0.25, 0.125, 0.0])
NEVER = Bernoulli(rate=0.0)

# Torch has no backward pass of flex_attention on a CPU, and refuses inputs that want one.
pytestmark = [
    pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile"),
    pytest.mark.usefixtures("_no_gradients_and_nothing_left"),
]


@pytest.fixture
def _no_gradients_and_nothing_left():
    torch._dynamo.reset()
    with torch.no_grad():
        yield
    assert torchs._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG is False
    assert torch._C._len_torch_function_stack() == 0
    torch._dynamo.reset()


def causal(b, h, q, k):
    return q >= k


def sloped(score, b, h, q, k):
    return score + SLOPES[h] * (k - q)


def capped(score, b, h, q, k):
    return 2 * torch.tanh(score / 2)


MODS = {
    "plain": (None, None),
    "sloped": (sloped, None),
    "causal": (None, causal),
    "both": (capped, causal),
}


class Flex(nn.Module):
    """Flex attention of four heads, and functional dropout on what it returns."""

    def __init__(self, mods="both", groups=1, function=flex_attention, rate=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.query, self.pair = nn.Linear(8, H * D), nn.Linear(8, 2 * H // groups * D)
        self.mods, self.groups, self.function, self.rate = MODS[mods], groups, function, rate

    def projections(self, x):
        heads = [
            part.unflatten(-1, (-1, D)).transpose(1, 2) for part in (self.query(x), self.pair(x))
        ]
        return heads[0], *heads[1].chunk(2, 1)

    def forward(self, x):
        score_mod, mask_mod = self.mods
        mask = create_block_mask(mask_mod, None, None, L, L, device="cpu") if mask_mod else None
        out = self.function(*self.projections(x), score_mod, mask, enable_gqa=self.groups > 1)
        return F.dropout(out, self.rate, self.training)


def by_hand(net, x):
    """The probabilities and the values, head by head, written out."""
    query, key, value = (part.double() for part in net.projections(x))
    score_mod, mask_mod = net.mods
    weights = torch.zeros(len(x), H, L, L, dtype=torch.float64)
    for head in range(H):
        scores = query[:, head] @ key[:, head // net.groups].mT / D**0.5
        q, k = torch.arange(L).view(-1, 1), torch.arange(L)
        if score_mod is sloped:
            scores = scores + SLOPES[head].double() * (k - q)
        elif score_mod is capped:
            scores = 2 * torch.tanh(scores / 2)
        if mask_mod is not None:
            scores = scores.masked_fill(q < k, -torch.inf)
        weights[:, head] = scores.softmax(-1)
    return weights, value.repeat_interleave(net.groups, 1)


CASES = pytest.mark.parametrize("mods", MODS)
GROUPS = pytest.mark.parametrize("groups", [1, 2])


@CASES
@GROUPS
def test_a_rule_drops_the_probabilities_and_nothing_else(mods, groups):
    net = Flex(mods, groups)
    weights, value = by_hand(net, X)
    torch.testing.assert_close(net(X).double(), weights @ value, rtol=1e-4, atol=1e-5)
    with Plan(rule("root.attention()", NEVER)).installed(net):
        torch.testing.assert_close(net(X).double(), weights @ value, rtol=1e-4, atol=1e-5)
        assert noise_of(net).draw_counts == {"root.attention()": 1}
    # With one-hot values attention returns its probabilities, so that the mask can be seen.
    see = torch.eye(L).expand(B, H // groups, L, L)
    net.projections = lambda x: (*Flex.projections(net, x)[:2], see)
    with Plan(rule("root.attention()", FLIPS)).installed(net):
        got = net(X).double()
    allowed = weights > 0
    assert near(0.5, share(got[allowed]))
    left = allowed & (got != 0)
    torch.testing.assert_close(got[left], 2 * weights[left], rtol=1e-4, atol=1e-5)
    assert bool((got[~allowed] == 0).all())


@CASES
@GROUPS
def test_sites_taps_and_readers_see_it(mods, groups):
    net = nn.Sequential(Flex(mods, groups))
    want, (weights, _) = net(X), by_hand(net[0], X)
    (site,) = [site for site in sites(net, X) if site.kind == "attention"]
    assert (site.name, site.rate, site.sizes) == ("0.attention()", 0.0, (B, H, L, L))
    assert site.axes == ("batch", "head", "time", "time")
    with (
        taps(net, attention="**.attention()") as read,
        read_blocks(net, Reads(blocks="0")) as found,
    ):
        assert torch.equal(net(X), want)
    for got in (read.attention["0.attention()"], found.layers[0].attention[0][1]):
        torch.testing.assert_close(got.double(), weights, rtol=1e-4, atol=1e-5)


def test_audit_shows_its_noise_and_its_absence():
    net = Flex()
    assert not audit(net, X)["root.attention()"].on
    with Plan(rule("root.attention()", FLIPS)).installed(net):
        row = audit(net, X)["root.attention()"]
    assert (row.on, row.how, row.differ) == (True, "keyed", True)
    assert near(0.5, (row.dropped, row.elements))


@pytest.mark.parametrize("site", ["root.attention()", "root.dropout()"])
def test_evaluation_under_a_plan_is_what_it_was(site):
    net = Flex(rate=0.5).eval()
    want = net(X)
    with Plan(rule(site, FLIPS)).installed(net):
        assert torch.equal(net(X), want)


def test_a_rule_elsewhere_in_its_module_leaves_it_as_it_was():
    net = Flex(rate=0.5)
    want = net.eval()(X)
    with Plan(rule("root.dropout()", NEVER)).installed(net.train()):
        assert torch.equal(net(X), want)


def test_predict_samples_it_and_leaves_it_as_it_was():
    net = nn.Sequential(Flex(rate=0.3))
    found = predict(net, X, samples=8, kind="values")
    assert bool((found.variance > 0).any())
    plan = Plan(rule("0.attention()", FLIPS))
    assert not torch.equal(predict(net, X, plan=plan, samples=8, kind="values").mean, found.mean)


def test_torchs_own_draw_cannot_be_asked_of_it():
    net = Flex()
    plan = Plan(rule("root.attention()", TorchDropout(rate=0.2)))
    with plan.installed(net), pytest.raises(SiteError, match=r"Bernoulli\(rate=0\.2\)"):
        net(X)


@pytest.mark.slow
@pytest.mark.parametrize("mods", ["sloped", "both"])
def test_a_compiled_call_of_it_in_code_that_is_not_works_alike(mods):
    plain = Flex(mods)
    net = Flex(mods, function=torch.compile(flex_attention, backend="aot_eager"))
    torch.testing.assert_close(net(X), plain(X))
    results = []
    for model in (plain, net):
        with Plan(rule("root.attention()", FLIPS)).installed(model):
            results.append(model(X))
        with taps(model, attention="**.attention()") as read:
            model(X)
        results.append(read.attention["root.attention()"])
    torch.testing.assert_close(results[:2], results[2:])


def test_a_forward_that_fails_leaves_nothing_behind():
    net = Flex()
    net.function = lambda *args, **kwargs: (flex_attention(*args, **kwargs), 1 / 0)
    for block in (Plan(rule("root.attention()", FLIPS)).installed(net), taps(net, attention="**")):
        with pytest.raises(ZeroDivisionError), block:
            net(X)


def test_a_block_mask_that_contradicts_its_function_is_refused():
    mask = create_block_mask(causal, None, None, 256, 256, device="cpu")
    parts = mask.as_tuple()
    q = seeded(1, 1, 256, 4)
    arguments = (q, q, q, capped, (*parts[:-1], lambda b, h, i, j: i >= 0), 0.5, {})
    with pytest.raises(SiteError, match="create_block_mask"):
        probabilities(decode(FLEX, arguments))


def test_written_out_it_has_gradients_and_the_sums_of_its_scores():
    q, k, v = (seeded(2, 4, L, D, seed=seed).double().requires_grad_() for seed in range(3))
    mask = create_block_mask(causal, None, None, L, L, device="cpu").as_tuple()
    call = decode(FLEX, (q, k, v, sloped, mask, 0.3, {}))
    with torch.enable_grad():
        states, sums, highest = attend(call, lambda weights: weights)
        scores = q @ k.mT * 0.3 + SLOPES.view(-1, 1, 1) * (
            torch.arange(L) - torch.arange(L).view(-1, 1)
        )
        scores = scores.masked_fill(torch.ones(L, L).triu(1).bool(), -torch.inf)
        want = scores.softmax(-1) @ v
        torch.testing.assert_close(states, want)
        torch.testing.assert_close(sums, torch.log2(torch.exp(scores).sum(-1)))
        torch.testing.assert_close(highest, scores.max(-1).values / torch.log(torch.tensor(2.0)))
        weight = seeded(*want.shape).double()
        torch.testing.assert_close(
            torch.autograd.grad((states * weight).sum(), (q, k, v)),
            torch.autograd.grad((want * weight).sum(), (q, k, v)),
        )
