"""A plan leaves torch's encoder its fused path in evaluation, and noise inside it works."""

import copy

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dropsmith.activations.block_outputs import Reads
from dropsmith.activations.block_readings import read_blocks
from dropsmith.activations.read_taps import taps
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of
from dropsmith.passes.run_audit import audit
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.run_predict import predict
from noise.zoo import FLIPS, seeded

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")

X = seeded(2, 5, 8)
PADDING = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
SITES = [
    "layers.*.self_attn.attention()",
    "layers.*.dropout1",
    "layers.*.linear1",
    "layers.0.norm2.input",
]


def encoder(rate=0.0, **settings):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, rate, batch_first=True, **settings)
    nested = not settings.get("norm_first", False)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested).eval()


class Wrapped(nn.Module):
    """An encoder in a module that drops by functional dropout itself."""

    def __init__(self):
        super().__init__()
        self.encoder = encoder()

    def forward(self, x, src_key_padding_mask=None):
        x = self.encoder(x, src_key_padding_mask=src_key_padding_mask)
        return nn.functional.dropout(x, 0.1, self.training)


def fused_calls(model):
    """How many layers run on torch's fused path in one evaluation with padding."""
    from torch.utils._python_dispatch import TorchDispatchMode

    calls = []

    class Spy(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append("transformer_encoder_layer_fwd" in str(func))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Spy():
        model(X, src_key_padding_mask=PADDING)
    return sum(calls)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("settings", [{}, {"norm_first": True}, {"activation": "gelu"}])
def test_evaluation_with_padding_is_as_without_a_plan(site, settings):
    net = encoder(**settings)
    with torch.no_grad():
        want = net(X, src_key_padding_mask=PADDING)
        fused = fused_calls(net)
        with Plan(rule(site, FLIPS)).installed(net):
            net.train()(X, src_key_padding_mask=PADDING)
            assert torch.equal(net.eval()(X, src_key_padding_mask=PADDING), want)
            assert fused_calls(net) == fused
            noisy = net.train()(X, src_key_padding_mask=PADDING)
            assert not torch.allclose(noisy, want)


def test_the_fused_path_is_there_to_be_kept():
    assert fused_calls(encoder()) == 2


def test_a_mode_of_the_module_around_does_not_reach_the_encoder():
    net = Wrapped().eval()
    with torch.no_grad():
        want = net(X, PADDING)
        with Plan(rule("root.dropout()", FLIPS)).installed(net):
            assert torch.equal(net(X, PADDING), want)
            assert fused_calls(net) == 2


def test_hooks_of_others_stay_where_they_are():
    net, seen = encoder(), []
    net.layers[0].linear1.register_forward_hook(lambda m, args, out: seen.append("hook"))
    with torch.no_grad(), Plan(rule(SITES[0], FLIPS)).installed(net):
        net(X)
        assert seen == ["hook"]


@pytest.mark.parametrize("site", SITES)
def test_sampling_in_eval_mode_with_padding_drops(site):
    net = encoder()
    with torch.no_grad(), Plan(rule(site, FLIPS)).installed(net):
        first, second = net(X), net(X)
        assert torch.equal(first, second)
        with noise_of(net).passing(ForwardPass(sampling=True)):
            noisy = net(X, src_key_padding_mask=PADDING)
        assert torch.backends.mha.get_fastpath_enabled()
        assert not torch.allclose(noisy[0], first[0])


def test_layers_in_eval_mode_whose_dropout_trains_drop():
    net = encoder(0.5)
    with torch.no_grad(), Plan(rule("layers.*.dropout1", FLIPS)).installed(net):
        want = net(X, src_key_padding_mask=PADDING)
        net.layers[1].dropout1.train()
        assert not torch.allclose(net(X, src_key_padding_mask=PADDING)[0], want[0])


def test_a_forward_that_fails_leaves_hooks_and_switch_as_they_were():
    net = encoder()
    plan = Plan(rule(SITES[0], FLIPS))
    plan.install(net)
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    for sampling in (False, True):
        passing = noise_of(net).passing(ForwardPass(sampling=sampling))
        with torch.no_grad(), passing, pytest.raises((RuntimeError, AssertionError)):
            net(seeded(2, 5, 7))
        assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
        assert torch.backends.mha.get_fastpath_enabled()
        assert torch._C._len_torch_function_stack() == 0


def test_a_copy_of_a_model_with_a_plan_evaluates_alike():
    net = encoder()
    Plan(rule(SITES[0], FLIPS)).install(net)
    with torch.no_grad():
        want = net(X, src_key_padding_mask=PADDING)
        assert torch.equal(copy.deepcopy(net)(X, src_key_padding_mask=PADDING), want)


def test_taps_audit_and_predict_take_padding_in_eval_mode():
    net = encoder(0.5)
    batch = {"src": X, "src_key_padding_mask": PADDING}
    with torch.no_grad():
        want = net(**batch)
        with taps(net, hidden="layers.1", attention="**") as read:
            got = net(**batch)
        with read_blocks(net, Reads()) as blocks:
            again = net(**batch)
    real = ~PADDING
    torch.testing.assert_close(got[real], want[real])
    torch.testing.assert_close(again[real], want[real])
    assert [layer.name for layer in blocks.layers] == ["layers.0", "layers.1"]
    assert bool((read.attention["layers.0.self_attn.attention()"][1, ..., 3:] == 0).all())
    assert not any(row.on for row in audit(net, batch).rows)
    assert bool((predict(net, batch, samples=3, kind="values").variance[real] > 0).any())


def test_no_mode_is_entered_in_evaluation():
    net, depth = nn.Sequential(nn.MultiheadAttention(8, 2, batch_first=True)).eval(), []

    class Spy(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            depth.append(torch._C._len_torch_function_stack())
            return func(*args, **(kwargs or {}))

    heads = net[0]
    with Plan(rule("0.attention()", FLIPS)).installed(net), Spy():
        heads(X, X, X)
        assert set(depth) == {0}
        depth.clear()
        heads.train()(X, X, X)
