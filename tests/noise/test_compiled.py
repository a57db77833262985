"""Compiled code draws the masks of eager code, in one graph, whatever the step."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from batches.zoo import drawn
from dropsmith.noise.lookup import noise_of, step
from dropsmith.passes import ViewRequest, make_views, views
from dropsmith.patterns import Bernoulli, LinearRate
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import KINDS, everywhere, fitting, mirrors, mlp, sentences, tiny_bert, tiny_gpt2

# The compiler looks at all attributes of a tensor, one of which warns.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
]

# Torch's own code breaks the graph in these, with or without noise.
WITH_BREAKS = ("heads", "between")


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_bit_equal_in_compiled_code_and_the_step_moves_without_recompiling(kind):
    mirror = mirrors()[kind]
    mirror.plan().install(mirror.model, seed=1)
    eager = [mirror.masks() for _ in range(3)]
    step(mirror.model, 0)
    whole = kind not in WITH_BREAKS
    compiled = torch.compile(mirror.model, backend="aot_eager", fullgraph=whole)

    def run():
        output = compiled(mirror.batch)
        return output[0] if isinstance(output, tuple) else output

    found = [run()]
    with torch._dynamo.config.patch(error_on_recompile=True):
        found += [run() for _ in range(2)]
    # Words and weights multiply, so that equal outputs are equal masks: each mirror reflects ones.
    if kind in ("attention", "heads", "gaussian"):
        assert all(torch.equal(a == 0, b == 0) for a, b in zip(eager, found, strict=True))
        torch.testing.assert_close(found, eager)
    else:
        assert all(torch.equal(a, b) for a, b in zip(eager, found, strict=True))
    assert noise_of(mirror.model).step == 3


def test_a_rate_that_changes_with_the_step_does_not_recompile_either():
    mirror = mirrors()["output"]
    plan = Plan(rule("0", Bernoulli(rate=LinearRate(start=0.0, end=0.8, steps=3))))
    plan.install(mirror.model)
    eager = [mirror.masks() for _ in range(4)]
    step(mirror.model, 0)
    compiled = torch.compile(mirror.model, backend="aot_eager", fullgraph=True)
    found = [compiled(mirror.batch)]
    with torch._dynamo.config.patch(error_on_recompile=True):
        found += [compiled(mirror.batch) for _ in range(3)]
    assert all(torch.equal(a == 0, b == 0) for a, b in zip(eager, found, strict=True))


@pytest.mark.parametrize("mode", ["stacked", "looped"])
def test_views_of_a_compiled_model_are_those_of_the_model_and_do_not_recompile(mode):
    net, x = mlp(), torch.ones(4, 8)
    Plan(rule("0.input", Bernoulli(rate=0.5)), rule("1", Bernoulli(rate=0.3))).install(net)
    want = [views(net, x, mode=mode).outputs for _ in range(4)]
    step(net, 0)
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    found = [views(compiled, x, mode=mode).outputs for _ in range(2)]
    with torch._dynamo.config.patch(error_on_recompile=True):
        found += [views(compiled, x, mode=mode).outputs for _ in range(2)]
    torch.testing.assert_close(found, want)


def test_inductor_draws_the_same_masks_and_gradients():
    net, x = mlp(), torch.ones(4, 8)
    plan = Plan(rule("0.input", Bernoulli(rate=0.5)), rule("1", Bernoulli(rate=0.3)))
    plan.install(net)
    net(x).sum().backward()
    want = [parameter.grad.clone() for parameter in net.parameters()]
    net.zero_grad()
    step(net, 0)
    torch.compile(net, backend="inductor", fullgraph=True)(x).sum().backward()
    got = [parameter.grad for parameter in net.parameters()]
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_hugging_face_models_compile_whole_with_every_kind_of_noise(make):
    model, batch = make(layers=1), sentences()
    fitting(model).install(model)
    want = model(**batch).last_hidden_state
    step(model, 0)
    got = torch.compile(model, backend="aot_eager", fullgraph=True)(**batch).last_hidden_state
    torch.testing.assert_close(got, want)


def test_rules_of_the_zoo_all_have_a_site_somewhere():
    used = {one for make in (tiny_bert, tiny_gpt2) for one in fitting(make()).rules}
    assert used == set(everywhere())


def test_checkpointed_blocks_compile_to_the_same_gradients():
    from noise.test_checkpointed import Stack, gradients, one

    plan = Plan(rule("blocks.*.0", Bernoulli(rate=0.5)), rule("**.dropout()", Bernoulli(rate=0.3)))
    plain, again = Stack(), Stack(reentrant=False)
    for model in (plain, again):
        for block in model.blocks:
            block[1].p = 0.0
        plan.install(model)
    one(plain).backward()
    one(torch.compile(again, backend="aot_eager")).backward()
    torch.testing.assert_close(gradients(again), gradients(plain))


class Parts(nn.Module):
    """A block in parts that are checkpointed, each of which may run it several times."""

    def __init__(self, calls: tuple[int, ...]):
        super().__init__()
        self.block, self.calls = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.5)), calls

    def forward(self, x):
        for count in self.calls:
            x = checkpoint(self._repeat, x, count, use_reentrant=False) if count else self.block(x)
        return x

    def _repeat(self, x, count):
        for _ in range(count):
            x = self.block(x)
        return x


@pytest.mark.parametrize("calls", [(1,), (2,), (1, 1), (0, 2, 0)])
@pytest.mark.parametrize("held", ["each", "one"])
def test_checkpointed_parts_compile_whole_where_side_effects_are_not_run_again(calls, held):
    eager = Parts(calls)
    Plan(rule("block.2", Bernoulli(rate=0.5), calls=held)).install(eager)
    whole, x = copy.deepcopy(eager), drawn(6, 8)
    compiled = torch.compile(whole, backend="aot_eager", fullgraph=True)
    with torch._dynamo.config.patch(skip_fwd_side_effects_in_bwd_under_checkpoint=True):
        for _ in range(2):
            want, got = eager(x), compiled(x)
            assert torch.equal(want == 0, got == 0)
            want.sum().backward()
            got.sum().backward()
    torch.testing.assert_close(whole.block[0].weight.grad, eager.block[0].weight.grad)


@pytest.mark.parametrize(
    ("kind", "mode", "count"),
    [
        ("output", "stacked", 3),
        ("functional", "looped", 4),
        ("gaussian", "stacked", 4),
        ("words", "looped", 3),
        ("weight", "looped", 4),
    ],
)
def test_stratified_masks_are_bit_equal_in_compiled_code(kind, mode, count):
    mirror = mirrors()[kind]
    mirror.plan().install(mirror.model, seed=1)
    request = ViewRequest(views=count, strata=count, mode=mode)
    noise = noise_of(mirror.model)

    def masks(model):
        found = []
        for number in range(2):
            step(mirror.model, number + 1)
            found += make_views(model, request, mirror.batch, noise).outputs
        return torch.stack(found)

    eager = masks(mirror.model)
    found = masks(torch.compile(mirror.model, backend="aot_eager", fullgraph=True))
    assert torch.equal(eager == 0, found == 0)
    torch.testing.assert_close(found, eager)
    if kind in ("output", "functional"):
        # Of stratified masks with one rate, each unit is dropped about equally often.
        times = (eager[:count] == 0).sum(0)
        assert int(times.max() - times.min()) <= 1
