"""Layers that activation checkpointing runs again drop what they dropped the first time."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dropsmith.errors import NoiseError
from dropsmith.noise.lookup import noise_of, step
from dropsmith.passes.make_views import views
from dropsmith.patterns import DropBlock, DropConnect, Gaussian, StochasticDepth
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, WIDTH, Functional, fitting, seeded, sentences, tiny_bert, tiny_gpt2

BOTH = pytest.mark.parametrize("reentrant", [True, False])
X = seeded(4, WIDTH)


class Stack(nn.Module):
    """Three blocks, each run again in backward where `reentrant` is not None."""

    def __init__(self, reentrant=None, times=1):
        super().__init__()
        torch.manual_seed(0)
        self.reentrant, self.times = reentrant, times
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.5), nn.GELU(), Functional())
            for _ in range(3)
        )
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        x = x.clone().requires_grad_()
        for block in self.blocks:
            for _ in range(self.times):
                x = self._run(block, x).squeeze(1)
        return self.head(x)

    def _run(self, block, x):
        if self.reentrant is None:
            return block(x)
        return checkpoint(block, x, use_reentrant=self.reentrant)


PLAN = Plan(
    rule("blocks.*.0", Gaussian(rate=0.2)),
    rule("blocks.*.0.weight", DropConnect(rate=0.3)),
    rule("blocks.*.1", FLIPS),
    rule("blocks.*", StochasticDepth(rate=0.3)),
    rule("blocks.*.2", DropBlock(rate=0.2, size=2), axes="batch time"),
    rule("**.dropout()", FLIPS, mask="one"),
)


def gradients(model):
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def after(make_loss, model):
    make_loss(model).backward()
    return gradients(model)


def one(model):
    return model(X).square().sum()


def two_and_one_backward(model):
    return (model(X) - model(X)).square().sum()


def looped(model):
    first, second = views(model, X, mode="looped").outputs
    return (first - second).square().sum() + first.sum()


def stacked(model):
    # A stacked pass cannot hold weight noise; its plan is the caller's.
    first, second = views(model, X, mode="stacked").outputs
    return (first - second).square().sum() + first.sum()


def accumulated(model):
    first, second = model(X).sum(), model(2 * X).sum()
    first.backward()
    return second


@BOTH
@pytest.mark.parametrize("make_loss", [one, two_and_one_backward, looped, accumulated])
def test_gradients_equal_those_without_checkpointing_to_the_bit(make_loss, reentrant):
    plain, again = Stack(), Stack(reentrant)
    for model in (plain, again):
        PLAN.install(model, seed=4)
    want, got = after(make_loss, plain), after(make_loss, again)
    assert want
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


@BOTH
def test_stacked_views_are_run_again_with_the_noise_of_each(reentrant):
    plan = Plan(rule("blocks.*.1", FLIPS), rule("**.dropout()", FLIPS, views="shared"))
    plain, again = Stack(), Stack(reentrant)
    for model in (plain, again):
        plan.install(model)
    want, got = after(stacked, plain), after(stacked, again)
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


@BOTH
def test_a_second_forward_before_the_backward_does_matter(reentrant):
    # The same two forwards, each differentiated at once, are the oracle.
    model = Stack(reentrant)
    PLAN.install(model)
    want = after(one, model)
    want = [grad.clone() for grad in want]
    model.zero_grad()
    step(model, 0)
    loss = one(model)
    model(X)
    loss.backward()
    assert all(torch.equal(a, b) for a, b in zip(want, gradients(model), strict=True))


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@BOTH
@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
@pytest.mark.parametrize("mode", ["one", "looped"])
def test_hugging_face_checkpointing_changes_no_gradient(make, mode, reentrant):
    batch = sentences()

    def loss(model):
        if mode == "one":
            return model(**batch).last_hidden_state.square().sum()
        made = views(model, batch, mode="looped")
        first, second = (output.last_hidden_state for output in made.outputs)
        return (first - second).square().sum() + first.sum()

    plain, again = make(), make()
    again.gradient_checkpointing_enable({"use_reentrant": reentrant})
    for model in (plain, again):
        fitting(model).install(model)
    want, got = after(loss, plain), after(loss, again)
    assert want
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


@BOTH
@pytest.mark.parametrize("make_loss", [one, two_and_one_backward, looped, accumulated])
def test_a_block_used_three_times_is_run_again_with_the_masks_of_each_time(make_loss, reentrant):
    plain, again = Stack(times=3), Stack(reentrant, times=3)
    for model in (plain, again):
        PLAN.install(model, seed=4)
    want, got = after(make_loss, plain), after(make_loss, again)
    assert want
    # Reentrant checkpointing adds the gradient of each use to `.grad` by itself, where a plain
    # backward adds up the uses first: the sums of two backwards round in another order.
    for a, b in zip(want, got, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


class Shared(nn.Module):
    """One dropout in three checkpointed parts, twice in the second, and once outside of them."""

    def __init__(self, reentrant=None):
        super().__init__()
        torch.manual_seed(0)
        self.reentrant, self.hooked = reentrant, False
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x = x.clone().requires_grad_()
        x = self._run(lambda x: self._drop(self.layers[0](x)), x)
        x = self._run(lambda x: self._drop(self.layers[1](self._drop(x).sin())).cos(), x)
        return self._run(lambda x: self._drop(self.layers[2](x)) + x, self._drop(x))

    def _run(self, part, x):
        if self.reentrant is None:
            return part(x)
        return checkpoint(part, x, use_reentrant=self.reentrant)

    def _drop(self, x):
        if not self.hooked:
            return self.drop(x)
        with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
            return self.drop(x)


def shared(reentrant=None):
    model = Shared(reentrant)
    Plan(rule("drop", FLIPS)).install(model, seed=2)
    return model


@BOTH
@pytest.mark.parametrize("make_loss", [one, two_and_one_backward, looped, accumulated])
def test_one_dropout_of_several_parts_has_in_each_what_it_had_there(make_loss, reentrant):
    want, got = after(make_loss, shared()), after(make_loss, shared(reentrant))
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


@BOTH
def test_a_graph_that_is_gone_through_twice_has_the_same_masks_both_times(reentrant):
    model = shared(reentrant)
    loss = one(model)
    loss.backward(retain_graph=True)
    first = [grad.clone() for grad in gradients(model)]
    loss.backward()
    assert all(torch.equal(2 * a, b) for a, b in zip(first, gradients(model), strict=True))


def test_parts_that_are_all_of_a_run_again_are_told_apart_without_stopping_early():
    want = after(one, shared())
    with torch.utils.checkpoint.set_checkpoint_early_stop(False):
        got = after(one, shared(reentrant=False))
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


def test_a_model_between_a_checkpointed_forward_and_its_backward_can_be_copied_and_pickled():
    model = Stack(reentrant=False, times=2)
    PLAN.install(model)
    one(model)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert noise_of(twin).step == 1


def test_a_site_of_several_calls_says_so_where_a_part_cannot_be_told():
    model = shared(reentrant=False)
    model.hooked = True
    loss = one(model)
    with pytest.raises(NoiseError, match=r"'drop' drew 5 masks in one forward[\s\S]*other hooks"):
        loss.backward()


@BOTH
def test_running_again_is_no_step_of_its_own(reentrant):
    model = Stack(reentrant)
    PLAN.install(model)
    one(model).backward()
    assert noise_of(model).step == 1


class SharedDropout(nn.Module):
    """One dropout that is called outside of a checkpointed block and then inside of it."""

    def __init__(self, reentrant, pattern):
        super().__init__()
        torch.manual_seed(0)
        self.reentrant, self.calls_inside = reentrant, pattern
        self.drop = nn.Dropout(0.5)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in pattern)

    def forward(self, x):
        x = x.clone().requires_grad_()
        for layer, inside in zip(self.layers, self.calls_inside, strict=True):

            def block(x, layer=layer):
                return torch.tanh(layer(self.drop(x)))

            checkpointed = inside and self.reentrant is not None
            x = checkpoint(block, x, use_reentrant=self.reentrant) if checkpointed else block(x)
        return x


@BOTH
@pytest.mark.parametrize("how", [{}, {"calls": "one"}, {"views": "shared"}])
@pytest.mark.parametrize("pattern", [(0, 1), (1, 0), (0, 1, 0, 1), (1, 1, 0)])
def test_calls_inside_and_outside_of_a_block_come_back_after_another_forward(
    reentrant, how, pattern
):
    grads = []
    for kind in (None, reentrant):
        model = SharedDropout(kind, pattern)
        Plan(rule("drop", FLIPS, **how)).install(model, seed=3)
        losses = [model(X).square().sum() for _ in range(2)]
        losses[0].backward()
        model(X)
        losses[1].backward()
        grads.append(gradients(model))
    for want, got in zip(*grads, strict=True):
        torch.testing.assert_close(got, want)


class Result:
    """What a model returns, of a type that nobody looks into."""

    def __init__(self, scores):
        self.scores = scores


class Hidden(nn.Module):
    """A checkpointed block whose states go another way than through a tensor that is returned."""

    def __init__(self, way, checkpointed):
        super().__init__()
        torch.manual_seed(0)
        self.way, self.checkpointed, self.states = way, checkpointed, None
        self.block = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.5), nn.Linear(WIDTH, 2))

    def forward(self, x):
        x = x.clone().requires_grad_()
        if self.checkpointed:
            states = checkpoint(self.block, x, use_reentrant=False)
        else:
            states = self.block(x)
        self.states = states
        return {"attribute": states.detach(), "object": Result(states), "call": lambda: states}[
            self.way
        ]


@pytest.mark.parametrize("way", ["attribute", "object", "call"])
@pytest.mark.parametrize("late", [0, 1, 3])
def test_a_block_is_run_again_in_its_own_pass_whatever_the_model_returned(way, late):
    grads = []
    for checkpointed in (False, True):
        model = Hidden(way, checkpointed)
        Plan(rule("block.1", FLIPS), rule("block.0", Gaussian(rate=0.2))).install(model, seed=3)
        states = []
        for _ in range(2):
            model(X)
            states.append(model.states)
        for _ in range(late):
            model(X)
        loss = sum(factor * x.square().sum() for factor, x in zip((1, 2), states, strict=True))
        loss.backward()
        grads.append(gradients(model))
    for want, got in zip(*grads, strict=True):
        torch.testing.assert_close(got, want)


def test_a_part_that_was_called_by_itself_is_run_again_in_its_own_pass():
    grads = []
    for checkpointed in (False, True):
        model = Stack(reentrant=False if checkpointed else None)
        Plan(rule("blocks.*.1", FLIPS)).install(model, seed=3)
        model(X)
        x = X.clone().requires_grad_()
        alone = model._run(model.blocks[0], x).squeeze(1)
        model(X)
        alone.square().sum().backward()
        grads.append([p.grad for p in model.blocks[0].parameters()])
    for want, got in zip(*grads, strict=True):
        torch.testing.assert_close(got, want)
