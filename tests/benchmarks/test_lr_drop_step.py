"""What is timed against each other is the same loss: of matrices and of fused attention."""

import pytest
import torch

import dropsmith as ds
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.noise.lookup import noise_of

pytest.importorskip("transformers")
case = pytest.importorskip("benchmarks.lr_drop_step", reason="run from the repository's root")

NOISE = ds.Plan(ds.rule("bert.embeddings.word_embeddings", ds.Bernoulli(rate=0.3)))


def quiet(kind):
    """The model without noise of its own, the same whatever attention it has."""
    model = case.bert(kind).double()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def grads(model):
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def test_the_loss_of_matrices_is_that_of_lr_drop():
    ids, labels = torch.randint(case.WORDS, (2, 9)), torch.tensor([0, 1])
    fused, eager = quiet("sdpa"), quiet("eager")
    objective = ds.LRDrop(**case.COEFFICIENTS, hidden_at="block")
    ds.consistent(fused, objective, plan=NOISE)
    loss = fused(input_ids=ids, labels=labels).loss
    loss.backward()
    NOISE.install(eager)
    noise = noise_of(eager)
    noise.begin(training=True)
    with noise.passing(ForwardPass(views=(0, 1), rows=4)):
        other = case.by_matrices(eager, ids, labels)
    other.backward()
    assert all(ds.terms_of(fused)[name].sum > 0 for name in ("hidden", "attention"))
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(grads(fused), grads(eager))
