"""Views that share a trunk are those of whole passes, and the trunk runs once."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dropsmith.errors import SiteError, ViewError
from dropsmith.noise.lookup import noise_of, step
from dropsmith.passes.make_views import views
from dropsmith.patterns import Bernoulli, Off
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, ROWS, WIDTH, mlp, seeded, sentences, tiny_bert

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
    with torch.no_grad():
        views(model, batch, n, **how)  # the first time a few rows are tried
    step(model, 0)
    calls.clear()
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


def test_batch_norm_above_the_fork_sees_all_views_and_one_line_says_so(capsys):
    net = nn.Sequential(nn.Linear(WIDTH, 4), nn.Dropout(0.5), nn.BatchNorm1d(4, affine=False))
    for _ in range(2):
        both = torch.cat(views(net, seeded(ROWS, WIDTH), trunk="1").outputs)
    torch.testing.assert_close(both.mean(0), torch.zeros(4), atol=1e-6, rtol=0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "share a trunk are stacked above it: the rows of this model influence each" in lines[0]


def test_a_trunk_whose_views_cannot_be_told_apart_is_refused():
    class Even(Tower):
        def forward(self, x):
            if len(x) != ROWS:
                raise ValueError("takes 4 rows")
            return super().forward(x)

    with pytest.raises(
        ViewError, match=r"cannot be told apart: .*does not run[\s\S]*leave out trunk"
    ):
        views(Even(), seeded(ROWS, WIDTH), trunk="high")


def test_states_that_are_shared_go_to_every_view_whole_whatever_their_length():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.low, self.high = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, x):
            low = self.low(x)
            return {"low": low, "high": self.high(low)}

    net = Both()
    Plan(rule("high", FLIPS)).install(net)
    # Twice as many words as rows, so that words could be taken for the rows of both views.
    first, second = views(net, seeded(ROWS, 2 * ROWS, WIDTH), trunk="high").outputs
    assert first["low"].shape == (ROWS, 2 * ROWS, WIDTH)
    assert torch.equal(first["low"], second["low"])
    assert not torch.equal(first["high"], second["high"])


class Beside(nn.Module):
    """A head that is given, beside its layers' states, which words are real."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH))
        self.mean = Masked()

    def forward(self, x, real):
        return self.mean(self.body(x), real)


class Masked(nn.Module):
    def forward(self, x, real):
        return (x * real.unsqueeze(-1)).sum(1) / real.sum(1, keepdim=True)


def test_what_goes_around_the_trunk_reaches_modules_outside_the_stack_too():
    net, real = Beside(), (seeded(ROWS, 5) > -1).float()
    batch = {"x": seeded(ROWS, 5, WIDTH), "real": real}
    Plan(rule("body.1", FLIPS)).install(net)
    shared = views(net, batch, trunk="body.1").outputs
    noise_of(net).step = 0
    torch.testing.assert_close(shared, views(net, batch, mode="looped").outputs)
    assert not torch.equal(*shared)


def test_a_trunk_that_ends_where_rows_do_not_come_first_is_refused():
    class Turned(Beside):
        def forward(self, x):
            return self.body(x.transpose(0, 1)).transpose(0, 1)

    with pytest.raises(ViewError, match=r"'body\.1'.*is given nothing of the batch's 4 rows"):
        views(Turned(), seeded(4, 5, WIDTH), trunk="body.1")


def test_a_state_of_as_many_layers_as_rows_is_cut_by_its_rows_above_a_trunk():
    class Stateful(nn.Module):
        def __init__(self):
            super().__init__()
            self.low, self.high = nn.Linear(WIDTH, WIDTH), nn.LSTM(WIDTH, 6, 3, batch_first=True)

        def forward(self, x):
            out, (hidden, _) = self.high(self.low(x))
            return out, hidden

    net = Stateful()
    Plan(rule("high.input", FLIPS)).install(net)
    forked = views(net, seeded(3, 5, WIDTH), trunk="high").outputs
    noise_of(net).step = 0
    torch.testing.assert_close(forked, views(net, seeded(3, 5, WIDTH), mode="looped").outputs)
    assert not torch.equal(forked[0][1], forked[1][1])


def test_labels_of_a_batch_become_those_of_all_views():
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification(tiny_bert(rate=0.3).config).train()
    batch = sentences() | {"labels": torch.arange(ROWS) % 2}
    made = views(model, batch, trunk="bert.encoder.layer.1")
    both = torch.cat([one.logits for one in made.outputs])
    labels = torch.cat([batch["labels"]] * 2)
    torch.testing.assert_close(made.outputs[0].loss, nn.functional.cross_entropy(both, labels))
