"""R-Drop's term in every kind of model and task, from its definition in float64."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

import dropsmith as ds
from adapters.zoo import CASES
from dropsmith.consistency import consistent, terms_of
from dropsmith.objectives import RDrop

pytest.importorskip("transformers")
ALPHA = 4.0


def scores_of(output):
    """What the definition compares; spans have scores of starts and of ends."""
    if hasattr(output, "start_logits"):
        return torch.stack([output.start_logits, output.end_logits], 1)
    return getattr(output, "logits", output)


def defined(case, outputs):
    """The mean task loss of the views plus α / 2 times the divergence, item by item."""
    views = [scores_of(output).double() for output in outputs]
    if case.problem == "spans":
        labels = torch.stack([case.batch["start_positions"], case.batch["end_positions"]], 1)
    else:
        labels = case.batch["labels"]
    if case.problem == "values":
        labels = labels.double()
        views = [z.squeeze(-1) for z in views]
        task = sum(F.mse_loss(z, labels) for z in views)
        apart = F.mse_loss(*views)
    elif case.problem == "labels":
        task = sum(F.binary_cross_entropy_with_logits(z, labels.double()) for z in views)
        p, q = (z.sigmoid() for z in views)
        apart = ((p - q) * (torch.logit(p) - torch.logit(q))).mean() / 2
    else:
        if case.problem == "causal":
            views, labels = [z[:, :-1] for z in views], labels[:, 1:]
        kept = labels != -100
        views, labels = [z[kept] for z in views], labels[kept]
        task = sum(F.cross_entropy(z, labels) for z in views)
        log_p, log_q = (z.log_softmax(-1) for z in views)
        apart = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
        apart = (apart + F.kl_div(log_p, log_q, log_target=True, reduction="batchmean")) / 2
    return task / 2 + ALPHA / 2 * apart


def ours(case, model, plan=None, mode="auto"):
    consistent(model, RDrop(alpha=ALPHA, kind=case.kind), loss=case.loss, plan=plan, mode=mode)
    loss = model(**case.batch).loss
    loss.backward()
    assert terms_of(model)["consistency"].value > 1e-6
    return loss.detach()


def assert_alike(case, model, loss, other, outputs):
    expected = defined(case, outputs)
    torch.testing.assert_close(loss.double(), expected.detach(), rtol=1e-5, atol=1e-6)
    expected.backward()
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None), name
        if one.grad is not None:
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_with_the_models_own_dropout_the_loss_is_the_definition_on_a_batch_given_twice(case):
    model, other = case.make(), case.make()
    torch.manual_seed(1)
    loss = ours(case, model)
    twice = {name: torch.cat([value, value]) for name, value in case.batch.items()}
    torch.manual_seed(1)
    if case.mode == "looped":  # what is drawn once for a batch is drawn once for each view
        outputs = [other(**case.batch) for _ in (0, 1)]
    elif case.loss:
        labels = twice.pop("labels")
        whole = other(**twice)
        outputs = whole.chunk(2)
        assert len(labels) == len(whole)
    else:
        whole = other(**twice)
        outputs = [halves(whole, view) for view in (0, 1)]
    assert_alike(case, model, loss, other, outputs)


def halves(output, view):
    """The scores of one half of a batch."""
    return scores_of(output).chunk(2)[view]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_with_every_site_drawn_here_the_loss_is_the_definition_on_two_forwards(case):
    model, other = case.make(), case.make()
    given = case.batch if case.loss is None else inputs(case)
    active = [row.site.name for row in ds.audit(deepcopy(other), given).rows if row.on]
    plan = ds.Plan(*(ds.rule(name, ds.Bernoulli(rate=0.3)) for name in active))
    loss = ours(case, model, plan, case.mode)
    plan.install(other)
    outputs = ds.views(other, given, mode="looped").outputs
    assert_alike(case, model, loss, other, outputs)


def inputs(case):
    return {name: value for name, value in case.batch.items() if name != "labels"}
