"""Views that share a trunk are those of whole passes, and the trunk runs once."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dropsmith.errors import SiteError, ViewError
from dropsmith.patterns import Bernoulli, Off
from dropsmith.sites import Plan, noise_of, rule
from dropsmith.views import views
from sites.zoo import FLIPS, ROWS, WIDTH, mlp, seeded, sentences, tiny_bert

ABOVE = Plan(
    rule("encoder.layer.*.output.dense", Bernoulli(rate=0.3)),
    rule("encoder.layer.*.attention.self.attention()", Bernoulli(rate=0.3)),
    rule("encoder.layer.0.**", Off()),
    rule("pooler", Bernoulli(rate=0.2)),
)


def run(how, n=2):
    # Two layers above, of which the second takes the attention mask around the fork.
    model, batch = tiny_bert(layers=3), sentences()
    calls = []
    model.encoder.layer[0].register_forward_hook(lambda m, args, out: calls.append(len(args[0])))
    ABOVE.install(model, seed=5)
    outputs = views(model, batch, n, **how).outputs
    states = [out.last_hidden_state for out in outputs] + [out.pooler_output for out in outputs]
    loss = sum((k + 1) * state.square().sum() for k, state in enumerate(states))
    loss.backward()
    return states, [p.grad for p in model.parameters() if p.grad is not None], calls


@pytest.mark.parametrize("n", [2, 3])
def test_outputs_and_gradients_equal_the_loop_where_noise_is_only_above(n):
    states, grads, calls = run({"trunk": "encoder.layer.1"}, n)
    want_states, want_grads, want_calls = run({"mode": "looped"}, n)
    torch.testing.assert_close(states, want_states)
    torch.testing.assert_close(grads, want_grads, rtol=1e-4, atol=1e-5)
    assert (calls, want_calls) == ([ROWS], [ROWS] * n)
    assert not torch.allclose(states[0], states[1])


class Tower(nn.Module):
    def __init__(self, reentrant=None):
        super().__init__()
        torch.manual_seed(0)
        self.reentrant = reentrant
        self.low, self.high = (nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(2))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x):
        x = x.clone().requires_grad_()
        for block in (self.low, self.high):
            if self.reentrant is None:
                x = block(x)
            else:
                x = checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)


NOISE = Plan(rule("low.0", FLIPS), rule("high.0", FLIPS), rule("head.input", FLIPS))


def test_noise_below_is_that_of_view_zero_for_all_and_noise_above_is_each_views_own():
    net, x = Tower(), seeded(ROWS, WIDTH)
    NOISE.install(net)
    seen = {}
    noise_of(net).observer = lambda name, kind, before, after: seen.setdefault(name, after)
    views(net, x, trunk="high")
    low, high = seen["low.0"], seen["high.0"]
    assert (low.shape[0], high.shape[0]) == (ROWS, 2 * ROWS)
    noise_of(net).step = 0
    net(x)
    assert torch.equal(seen["low.0"], low)
    assert not torch.equal(high[:ROWS] == 0, high[ROWS:] == 0)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_on_both_sides_of_the_fork_changes_no_gradient(reentrant):
    found = []
    for how in (None, reentrant):
        net = Tower(how)
        NOISE.install(net)
        first, second = views(net, seeded(ROWS, WIDTH), trunk="high").outputs
        ((first - second).square().sum() + first.sum()).backward()
        found.append([p.grad for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("reentrant", [True, False])
def test_two_forked_passes_and_one_backward_are_told_apart(reentrant):
    found = []
    for how in (None, reentrant):
        net = Tower(how)
        NOISE.install(net)
        passes = [views(net, seeded(ROWS, WIDTH), trunk="high").outputs for _ in range(2)]
        sum((first * second).sum() for first, second in passes).backward()
        found.append([p.grad for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_whole_pass_before_a_forked_one_is_run_again_without_a_fork(reentrant):
    found = []
    for how in (None, reentrant):
        net, x = Tower(how), seeded(ROWS, WIDTH)
        NOISE.install(net)
        whole = net(x)
        first, second = views(net, x, trunk="high").outputs
        (whole * first * second).sum().backward()
        found.append([p.grad for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@pytest.mark.parametrize("reentrant", [True, False])
def test_a_hugging_face_model_with_checkpointing_can_share_a_trunk(reentrant):
    found = []
    for checkpointed in (False, True):
        model = tiny_bert()
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        ABOVE.install(model)
        made = views(model, sentences(), trunk="encoder.layer.1")
        first, second = (out.last_hidden_state for out in made.outputs)
        (first * second).sum().backward()
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_model_without_a_plan_can_share_a_trunk():
    first, second = views(mlp(), seeded(ROWS, WIDTH), trunk="1").outputs
    assert not torch.equal(first, second)


def test_hooks_are_gone_after_forward_and_backward_also_when_the_model_fails():
    net = mlp()
    for parameter in net[0].parameters():
        parameter.requires_grad = False
    first, second = views(net, seeded(ROWS, WIDTH), trunk="1").outputs
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    (first * second).sum().backward()
    with pytest.raises(RuntimeError, match="shapes"):
        views(net, seeded(ROWS, WIDTH + 1), trunk="1")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_trunk_must_end_at_a_module_that_exists_and_runs():
    with pytest.raises(SiteError, match=r"no module 'encoder\.layers\.1'[\s\S]*encoder\.layer\.1"):
        views(tiny_bert(), sentences(), trunk="encoder.layers.1")
    with pytest.raises(
        ViewError, match=r"'encoder\.layer\.1\.attention\.self\.dropout'.*never ran"
    ):
        views(tiny_bert("sdpa"), sentences(), trunk="encoder.layer.1.attention.self.dropout")


def test_batch_norm_above_the_fork_is_warned_of():
    net = nn.Sequential(nn.Linear(WIDTH, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    with pytest.warns(UserWarning, match="normalises over the batch"):
        views(net, seeded(ROWS, WIDTH), trunk="1")
