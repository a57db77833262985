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
from consistency.transformers_zoo import LABELLED, MODELS, REAL, ROWS
from dropsmith.consistency import consistent, terms_of
from dropsmith.errors import ObjectiveError, SiteError, ViewError
from dropsmith.objectives import ExpectationLinear, LRDrop, RDrop

UPPER = ds.Plan(
    ds.rule("3", ds.Bernoulli(rate=0.4)),
    ds.rule("1", ds.Bernoulli(rate=0.4), views="shared"),
)
"""Below the trunk's end both views have one mask."""


class Counting(nn.Linear):
    rows = 0

    def forward(self, x):
        self.rows += len(x) * torch.is_grad_enabled()  # without gradients a few rows are tried
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
    for objective, mode in (
        (RDrop(alpha=1, batch_fraction=0.5), "auto"),
        (RDrop(alpha=1), "looped"),
    ):
        with pytest.raises(ViewError, match="share a trunk are stacked above it"):
            consistent(deep(), objective, loss="classification", trunk="2", mode=mode)
    with pytest.raises(ViewError, match="share a trunk"):
        consistent(deep(), ExpectationLinear(kappa=1), loss="classification", trunk="2")


def test_labels_that_are_missing_are_said_before_the_trunk_runs():
    model = consistent(bert("ForMaskedLM"), RDrop(alpha=1), trunk="bert.encoder.layer.1")
    with pytest.raises(ObjectiveError, match="needs labels"):
        model(input_ids=words())
    assert not model.bert.encoder.layer[1]._forward_pre_hooks


SPLITS = {
    "bart": ("model.{}.layers.1", "model.{}.layers.0", ("model.{}.layers.1.fc2",)),
    "marian": ("model.{}.layers.1", "model.{}.layers.0", ("model.{}.layers.1.fc2",)),
    "t5": ("{}.block.1", "{}.block.0", ("{}.block.1.layer.*.DenseReluDense.wo",)),
}
"""Where the trunk ends in a stack, a layer below, and what is noisy above, in that stack."""


def above(name, side):
    """Noise in the upper layers alone, and in all of the decoder where the encoder parts."""
    places = [place.format(side) for place in SPLITS[name][2]]
    if side == "encoder":
        places += [place.format("decoder").replace(".1.", ".*.") for place in SPLITS[name][2]]
    return ds.Plan(*(ds.rule(place, ds.Bernoulli(rate=0.4)) for place in places))


def spread(model):
    """Larger weights, so that the loss of one view is another's nowhere."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model.double()


def trained(model, objective, batch, plan, **how):
    """Loss, logits, terms and gradients of one step."""
    consistent(model, objective, plan=plan, **how)
    output = model(**batch)
    output.loss.backward()
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return output.loss.detach(), output.logits.detach(), terms_of(model), grads


def numbers(found):
    """What `trained` returns, with terms as values."""
    loss, logits, terms, grads = found
    return loss, logits, {name: term.value for name, term in terms.items()}, grads


@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize("name", SPLITS)
def test_a_trunk_may_end_in_the_encoder_or_in_the_decoder(name, side):
    make, batch = MODELS[name]
    where, lower = (part.format(side) for part in SPLITS[name][:2])
    objective, plan, rows = RDrop(alpha=2.0), above(name, side), []
    model = spread(make(rate=0.0))
    layer = model.get_submodule(lower)
    layer.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
    found = trained(model, objective, batch(), plan, trunk=where)
    whole = trained(spread(make(rate=0.0)), objective, batch(), plan)
    torch.testing.assert_close(found[0], whole[0])
    torch.testing.assert_close(found[1], whole[1])
    torch.testing.assert_close(found[3], whole[3])
    assert found[2]["consistency"].sum > 0
    assert rows[-1] == ROWS


def test_a_decoders_words_that_are_given_are_those_it_makes_from_the_labels():
    make, batch = MODELS["bart"]
    plan, where = above("bart", "decoder"), "model.decoder.layers.1"
    model = spread(make(rate=0.0))
    words = model.prepare_decoder_input_ids_from_labels(labels=batch()["labels"])
    given = batch() | {"decoder_input_ids": words, "decoder_attention_mask": LABELLED.long()}
    found = trained(model, RDrop(alpha=2.0), given, plan, trunk=where)
    whole = trained(spread(make(rate=0.0)), RDrop(alpha=2.0), given, plan)
    torch.testing.assert_close(found[0], whole[0])
    torch.testing.assert_close(found[3], whole[3])


def test_an_encoder_decoder_that_hides_how_it_makes_its_words_is_asked_for_them(monkeypatch):
    make, batch = MODELS["bart"]
    model = make(rate=0.0)
    monkeypatch.delattr(type(model), "prepare_decoder_input_ids_from_labels")
    consistent(model, RDrop(alpha=1.0), trunk="model.decoder.layers.1")
    with pytest.raises(ViewError, match="give it decoder_input_ids as well"):
        model(**batch())


LAYERED = {
    "bert": ("bert.encoder.layer.1", "bert.encoder.layer.1.output.dense"),
    "gpt2": ("transformer.h.1", "transformer.h.1.mlp.c_proj"),
    "llama": ("model.layers.1", "model.layers.1.mlp.down_proj"),
    "vit": ("vit.layers.1", "vit.layers.1.mlp.fc2"),
}


@pytest.mark.parametrize(
    ("name", "attention"),
    [*((name, "sdpa") for name in LAYERED), ("bert", "eager"), ("gpt2", "eager")],
)
def test_layers_above_a_trunk_agree_as_those_of_whole_views(name, attention):
    make, batch = MODELS[name]
    where, noisy = LAYERED[name]
    plan = ds.Plan(ds.rule(noisy, ds.Bernoulli(rate=0.4)))
    given = {"hidden": 2.0, "attention": 3.0, "hidden_at": "block"}
    shared = trained(spread(make(attention, rate=0.0)), LRDrop(**given), batch(), plan, trunk=where)
    above = trained(spread(make(attention, rate=0.0)), LRDrop(**given, layers=(1,)), batch(), plan)
    for mine, theirs in zip(numbers(shared), numbers(above), strict=True):
        torch.testing.assert_close(mine, theirs)
    # The layer below agrees exactly: it adds nothing to the sum of all layers, but to the count.
    every = trained(spread(make(attention, rate=0.0)), LRDrop(**given), batch(), plan)[2]
    for part in ("hidden", "attention"):
        torch.testing.assert_close(shared[2][part].sum, every[part].sum)
        assert 2 * int(shared[2][part].count) == int(every[part].count)
    assert shared[2]["hidden"].sum > 0


@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize("name", SPLITS)
def test_an_encoder_decoders_layers_above_a_trunk_agree_as_those_of_whole_views(name, side):
    make, batch = MODELS[name]
    plan, where = above(name, side), SPLITS[name][0].format(side)
    shared = trained(spread(make(rate=0.0)), LRDrop(), batch(), plan, trunk=where)[2]
    whole = trained(spread(make(rate=0.0)), LRDrop(), batch(), plan)[2]
    below = {term for term in whole if side == "decoder" and "encoder" in term}
    assert shared.keys() == whole.keys() - below
    for term in shared:
        torch.testing.assert_close(shared[term].sum, whole[term].sum)
        split = term.split(" ")[0] in ("hidden", "attention", "cross") and f"{side}." in term
        times = 2 if split else 1
        assert times * int(shared[term].count) == int(whole[term].count), term
    assert all(whole[term].sum == 0 for term in below)


def test_gradients_of_a_decoders_agreement_do_not_hang_on_the_encoder_that_is_below():
    make, batch = MODELS["bart"]
    plan, where = above("bart", "decoder"), "model.decoder.layers.1"
    shared = trained(spread(make(rate=0.0)), LRDrop(), batch(), plan, trunk=where)[3]
    # Whole views have one stack more in the mean of hidden states, and one of three in attention's.
    same = LRDrop(hidden=2.0, attention=1.5, layers=(1,))
    whole = trained(spread(make(rate=0.0)), same, batch(), plan)[3]
    torch.testing.assert_close(shared, whole)


def test_a_split_within_a_block_leaves_its_attention_below():
    make, batch = MODELS["bert"]
    noisy, where = "bert.encoder.layer.0.output.dense", "bert.encoder.layer.0.output"
    plan = ds.Plan(ds.rule(noisy, ds.Bernoulli(rate=0.4)))
    for at in ("block", "feed-forward"):
        objective = LRDrop(hidden_at=at)
        shared = trained(spread(make(rate=0.0)), objective, batch(), plan, trunk=where)
        whole = trained(spread(make(rate=0.0)), objective, batch(), plan)
        counts = [{k: int(v.count) for k, v in one[2].items()} for one in (shared, whole)]
        assert counts[0]["hidden"] == counts[1]["hidden"]
        assert 2 * counts[0]["attention"] == counts[1]["attention"]
        torch.testing.assert_close(shared[2]["hidden"].sum, whole[2]["hidden"].sum)
        torch.testing.assert_close(shared[2]["attention"].sum, whole[2]["attention"].sum)


def test_padding_is_read_off_the_layers_that_are_shared():
    make, batch = MODELS["bert"]
    plan = ds.Plan(ds.rule("bert.encoder.layer.1.output.dense", ds.Bernoulli(rate=0.4)))
    terms = trained(make(rate=0.0), LRDrop(), batch(), plan, trunk="bert.encoder.layer.1")[2]
    assert int(terms["hidden"].count) == int(REAL.sum()) * 16
    assert int(terms["attention"].count) == sum(int(n) ** 2 for n in REAL.sum(1)) * 2


@pytest.mark.parametrize(
    ("objective", "where", "part"),
    [
        (LRDrop(layers=(0,)), "bert.encoder.layer.1", "hidden"),
        (LRDrop(), "bert.pooler", "hidden"),
        (LRDrop(), "bert.encoder.layer.1.output", "attention"),
        (LRDrop(hidden=0, layers=(0,)), "bert.encoder.layer.1", "attention"),
    ],
    ids=str,
)
def test_a_part_of_which_nothing_is_above_the_trunk_is_an_error(objective, where, part):
    make, batch = MODELS["bert"]
    plan = ds.Plan(ds.rule("bert.pooler.dense", ds.Bernoulli(rate=0.4)))
    model = consistent(make(rate=0.0), objective, plan=plan, trunk=where)
    with pytest.raises(ObjectiveError, match=f"share all that {part} is to agree in.*"):
        model(**batch())


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable:FutureWarning")
@pytest.mark.parametrize("name", ["bert", "bart", "t5"])
def test_checkpointed_layers_on_both_sides_give_the_same_terms_and_gradients(name):
    make, batch = MODELS[name]
    where = LAYERED[name][0] if name in LAYERED else SPLITS[name][0].format("decoder")
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(1)
        model = make()
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        found.append(trained(model, LRDrop(), batch(), None, trunk=where))
    for mine, theirs in zip(*map(numbers, found), strict=True):
        torch.testing.assert_close(mine, theirs)
