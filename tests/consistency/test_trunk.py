"""Views that share their lower layers: the term is that of views made by hand, at any distance."""

import pytest
import torch
from torch import nn

import dropsmith as ds
from consistency.hugging_face import bert, gpt2, words
from consistency.tiny import (
    X,
    Y,
    assert_equal_gradients,
    cross_entropy,
    gradients,
    integers,
    symmetric,
)
from dropsmith.consistency import consistent, terms_of
from dropsmith.errors import ObjectiveError, SiteError, ViewError
from dropsmith.objectives import ExpectationLinear, RDrop

UPPER = ds.Plan(
    ds.rule("3", ds.Bernoulli(rate=0.4)),
    ds.rule("1", ds.Bernoulli(rate=0.4), views="shared"),
)
"""Below the trunk's end both views have one mask."""


class Counting(nn.Linear):
    rows = 0

    def forward(self, x):
        self.rows += len(x)
        return super().forward(x)


def deep() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lower, upper = Counting(6, 16), nn.Linear(16, 16)
        return nn.Sequential(lower, nn.Tanh(), upper, nn.Tanh(), nn.Linear(16, 3))


def test_loss_and_gradients_are_those_of_whole_views_and_the_trunk_runs_once():
    model = consistent(deep(), RDrop(alpha=2.0), loss="classification", plan=UPPER, trunk="2")
    other = deep()
    UPPER.install(other)
    for _ in range(2):
        scores = list(ds.views(other, X, mode="looped").outputs)
        output = model(X, labels=Y)
        expected = cross_entropy(scores) + symmetric(scores)
        torch.testing.assert_close(output.loss, expected)
        torch.testing.assert_close(output.logits, scores[0])
        output.loss.backward()
        expected.backward()
        assert_equal_gradients(model, other)
    assert (model[0].rows, other[0].rows) == (2 * len(X), 4 * len(X))


def test_a_step_without_the_term_is_one_view_all_the_way():
    objective = RDrop(alpha=2.0, every=2)
    model = consistent(deep(), objective, loss="classification", plan=UPPER, trunk="2")
    model(X, labels=Y)
    assert sorted(terms_of(model)) == ["task"]
    model(X, labels=Y)
    assert sorted(terms_of(model)) == ["consistency", "task"]


def classifier():
    return bert("ForSequenceClassification", layers=4)


@pytest.mark.parametrize(
    ("make", "trunk", "labels"),
    [
        (
            lambda: bert("ForSequenceClassification", layers=4),
            "bert.encoder.layer.2",
            integers(2, 4),
        ),
        (lambda: bert("ForMaskedLM", layers=4), "bert.encoder.layer.2", words()),
        (gpt2, "transformer.h.1", words()),
    ],
    ids=["BERT", "masked words", "GPT-2"],
)
@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable:FutureWarning")
@pytest.mark.parametrize("checkpointed", [False, True])
def test_hugging_face_models_fork_at_a_layer_with_their_masks(make, trunk, labels, checkpointed):
    drop = "output.dropout" if "bert" in trunk else "mlp.dropout"
    plan = ds.Plan(ds.rule(f"{trunk}.{drop}", ds.Bernoulli(rate=0.4)))
    mask = torch.ones(4, 7).long()
    mask[1, 5:] = 0
    batch = {"input_ids": words(), "attention_mask": mask, "labels": labels}
    found = []
    for where in (None, trunk):
        model = make()
        with torch.no_grad():  # apart enough for the loss of one view to be another's
            for parameter in model.parameters():
                parameter.mul_(3)
        consistent(model, RDrop(alpha=2.0), plan=plan, trunk=where)
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        output = model(**batch)
        output.loss.backward()
        found.append((output.loss.detach(), output.logits.detach(), gradients(model)))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)
    assert found[1][1].shape[0] == 4


def test_the_trunk_s_own_noise_is_one_for_all_views():
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))
    consistent(model, RDrop(alpha=1), loss="classification", trunk="2")
    with pytest.raises(ViewError, match="views of a training step are identical"):
        model(X, labels=Y)


def test_a_forward_that_fails_leaves_no_fork_behind():
    model = consistent(deep(), RDrop(alpha=1), loss="classification", plan=UPPER, trunk="2")
    with pytest.raises(RuntimeError):
        model(X[:, :5], labels=Y)
    assert not any(module._forward_pre_hooks for module in model[2:])
    assert model.eval()(X).shape == (8, 3)


def test_what_a_trunk_cannot_do_is_an_error_before_training():
    with pytest.raises(SiteError, match="no module 'encoder'"):
        consistent(deep(), RDrop(alpha=1), loss="classification", trunk="encoder")
    for objective, mode in ((RDrop(alpha=1, share=0.5), "auto"), (RDrop(alpha=1), "looped")):
        with pytest.raises(ViewError, match="share a trunk are stacked above it"):
            consistent(deep(), objective, loss="classification", trunk="2", mode=mode)
    with pytest.raises(ViewError, match="share a trunk"):
        consistent(deep(), ExpectationLinear(kappa=1), loss="classification", trunk="2")


def test_labels_that_are_missing_are_said_before_the_trunk_runs():
    model = consistent(bert("ForMaskedLM"), RDrop(alpha=1), trunk="bert.encoder.layer.1")
    with pytest.raises(ObjectiveError, match="needs labels"):
        model(input_ids=words())
    assert not model.bert.encoder.layer[1]._forward_pre_hooks
