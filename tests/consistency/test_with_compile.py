"""Compiling, checkpointing and autocast change what a step costs, not what it computes."""

from shutil import which

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

import dropsmith as ds
from consistency.hugging_face import bert, words
from consistency.tiny import (
    PLAN,
    X,
    Y,
    assert_equal_gradients,
    cross_entropy,
    integers,
    net,
    of_rows,
    passes,
    symmetric,
    with_plan,
)
from dropsmith.consistency import consistent
from dropsmith.objectives import ExpectationLinear, RDrop

pytestmark = pytest.mark.slow

needs_compiler = pytest.mark.skipif(
    not any(which(name) for name in ("g++", "clang++")), reason="inductor needs a C++ compiler"
)
BATCH = {"input_ids": words(), "labels": integers(2, 4)}
DROPOUT = ds.Plan(
    ds.rule(ds.select(kind="dropout"), ds.Bernoulli(rate=0.3)),
    ds.rule("**.attention()", ds.Bernoulli(rate=0.3)),
)


@pytest.mark.parametrize(
    "objective",
    [RDrop(alpha=2.0, warmup=3, every=2), ExpectationLinear(kappa=1.0)],
    ids=str,
)
def test_compiled_steps_equal_eager_steps_and_are_compiled_once(objective):
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    eager = consistent(net(), objective, loss=of_rows, plan=PLAN)
    model = consistent(net(), objective, loss=of_rows, plan=PLAN)
    compiled = torch.compile(model, backend=counter)
    frames = []
    for step in range(1, 7):
        loss, expected = compiled(X, labels=Y).loss, eager(X, labels=Y).loss
        torch.testing.assert_close(loss, expected)
        loss.backward()
        expected.backward()
        frames.append(counter.frame_count)
        assert ds.noise_of(model).step == step
    assert_equal_gradients(model, eager)
    assert frames[0] > 0
    assert frames[1:] == [frames[1]] * 5
    torch.testing.assert_close(compiled.eval()(X), net()(X))


def test_a_compiled_classifier_of_hugging_face_is_one_graph_in_every_step_with_the_eager_loss():
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    plan = ds.Plan(ds.rule("dropout", ds.Bernoulli(rate=0.3)))
    models = []
    for _ in range(2):
        # A problem type that is not declared is found by the first forward: a second compilation.
        declared = {"problem_type": "single_label_classification"}
        model = bert("ForSequenceClassification", layers=1, **declared)
        models.append(consistent(model, RDrop(alpha=2.0), plan=plan))
    compiled = torch.compile(models[1], backend=counter)
    for _ in range(3):
        expected, loss = models[0](**BATCH).loss, compiled(**BATCH).loss
        torch.testing.assert_close(loss, expected)
        expected.backward()
        loss.backward()
    assert_equal_gradients(*models)
    # The step's counter; the model with its labels in the first step, and without them after it.
    assert counter.frame_count == 3


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable:FutureWarning")
@pytest.mark.parametrize("plan_first", [True, False])
@pytest.mark.parametrize("mode", ["auto", "looped"])
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("objective", [RDrop(alpha=2.0), ExpectationLinear(kappa=1.0)], ids=str)
def test_checkpointing_gives_exactly_the_gradients_without_it(
    objective, reentrant, mode, plan_first
):
    found = []
    for checkpointed in (False, True):
        model = bert("ForSequenceClassification", dropout=0.3)
        if plan_first:
            DROPOUT.install(model)
        consistent(model, objective, mode=mode)
        if not plan_first:
            DROPOUT.install(model)
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        model(**BATCH).loss.backward()
        found.append(model)
    assert_equal_gradients(*found, exactly=True)


def test_under_autocast_the_scores_are_narrow_and_the_loss_is_not():
    model = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=PLAN)
    other = with_plan(net())
    with torch.autocast("cpu", torch.bfloat16):
        output = model(X, labels=Y)
        scores = passes(other, RDrop(alpha=2.0))
    assert output.logits.dtype == torch.bfloat16
    assert output.loss.dtype == torch.float32
    wide = [z.float() for z in scores]
    # A stacked product may round its last bit otherwise: 2⁻⁸ of scores near one.
    torch.testing.assert_close(
        output.loss, cross_entropy(wide) + symmetric(wide), rtol=1e-2, atol=1e-2
    )
    output.loss.backward()
    exact = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=PLAN)
    exact(X, labels=Y).loss.backward()
    for narrow, full in zip(model.parameters(), exact.parameters(), strict=True):
        assert narrow.grad.dtype == torch.float32
        torch.testing.assert_close(narrow.grad, full.grad, rtol=0.1, atol=0.02)


def test_a_model_in_bfloat16_has_a_loss_in_float32():
    model = consistent(net().bfloat16(), RDrop(alpha=2.0), loss=of_rows, plan=PLAN)
    output = model(X.bfloat16(), labels=Y)
    assert (output.logits.dtype, output.loss.dtype) == (torch.bfloat16, torch.float32)
    output.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


# Torch's own, wherever a graph ends at a tensor that has a gradient function.
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_the_hooks_run_inside_a_larger_compiled_module():
    torch._dynamo.reset()
    inner = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=PLAN)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x, labels):
            return self.inner(x * 2, labels=labels).loss * 3

    loss = torch.compile(Outer(), backend="aot_eager")(X, Y)
    expected = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=PLAN)(2 * X, labels=Y).loss
    torch.testing.assert_close(loss, 3 * expected)


class Block(nn.Module):
    """Attention and a feed-forward part, each with a branch around it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        rows, time, _ = x.shape
        query, key, value = self.qkv(x).view(rows, time, 3, 2, 4).transpose(1, 3).unbind(2)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, time, 8))
        return x + self.down(F.relu(self.up(x)))


class Reader(nn.Module):
    """Such blocks over words, and a head over their mean."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(20, 8), nn.Linear(8, 3)
        self.layers = nn.ModuleList(Block() for _ in range(layers))

    def forward(self, x):
        x = self.words(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


def reader(objective, layers=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plan = ds.Plan(ds.rule("layers.*.down", ds.Bernoulli(rate=0.3)))
        return consistent(Reader(layers), objective, loss="classification", plan=plan)


TEXTS, CLASSES = integers(20, 4, 5), integers(3, 4)
LR_DROP = ds.LRDrop(attention=10.0)


def test_lr_drop_is_compiled_to_whole_graphs_and_not_again_after_the_second_step():
    """The first step looks for the blocks everywhere, later ones where they were found."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    eager, model = reader(LR_DROP), reader(LR_DROP)
    compiled, frames = torch.compile(model, backend=counter), []
    for _ in range(4):
        loss, expected = compiled(TEXTS, labels=CLASSES).loss, eager(TEXTS, labels=CLASSES).loss
        torch.testing.assert_close(loss, expected)
        assert ds.terms_of(model).keys() == {"task", "consistency", "hidden", "attention"}
        for name, term in ds.terms_of(eager).items():
            torch.testing.assert_close(ds.terms_of(model)[name].value, term.value)
        loss.backward()
        expected.backward()
        frames.append(counter.frame_count)
    assert_equal_gradients(model, eager)
    assert frames[1:] == [3, 3, 3]  # the step's counter, and the model twice
    assert compiled.eval()(TEXTS).shape == (4, 3)


# Torch's own, on the first import of inductor.
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
@needs_compiler
@pytest.mark.parametrize("objective", [RDrop(alpha=2.0), LR_DROP], ids=str)
def test_inductor_gives_the_eager_loss_terms_and_gradients(objective):
    """On as little as there is to compile: its code goes through a C++ compiler."""
    torch._dynamo.reset()
    reads = objective.reads is not None
    batch = {"x": TEXTS, "labels": CLASSES} if reads else {"input": X, "labels": Y}
    eager, model = (
        reader(objective, layers=1)
        if reads
        else consistent(net(), objective, loss=of_rows, plan=PLAN)
        for _ in range(2)
    )
    compiled = torch.compile(model, backend="inductor")
    for _ in range(2):
        loss, expected = compiled(**batch).loss, eager(**batch).loss
        torch.testing.assert_close(loss, expected)
        loss.backward()
        expected.backward()
    for name, term in ds.terms_of(eager).items():
        torch.testing.assert_close(ds.terms_of(model)[name].value, term.value, rtol=1e-4, atol=1e-6)
    assert_equal_gradients(model, eager)
