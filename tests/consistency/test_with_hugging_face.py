"""A consistent Hugging Face model is still one: it generates, saves and copies as before."""

import pickle
from copy import deepcopy

import pytest
import torch

import dropsmith as ds
from consistency.hugging_face import bert, gpt2, some_labels, words
from consistency.tiny import integers
from consistency.transformers_zoo import t5
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.consistency.consistent import STATE
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import Fraternal, RDrop, TwoSample

transformers = pytest.importorskip("transformers")
DROPOUT = ds.select(kind="dropout")
BATCH = {"input_ids": words(), "labels": integers(2, 4)}


def noisy(model):
    """With all of the model's dropout drawn by us, the attention's too."""
    rules = (ds.rule(where, ds.Bernoulli(rate=0.3)) for where in (DROPOUT, "**.attention()"))
    ds.Plan(*rules).install(model)
    return model


def causal():
    return gpt2(dropout=0.1)


def classifier():
    return bert("ForSequenceClassification", dropout=0.1)


def test_views_of_a_classifier_are_those_made_by_hand():
    model = noisy(consistent(classifier(), Fraternal(kappa=2.0)))
    other = noisy(classifier())
    outputs = ds.views(other, {"input_ids": words()}, mode="looped").outputs
    first, second = (output.logits for output in outputs)
    task = torch.nn.functional.cross_entropy(torch.cat([first, second]), BATCH["labels"].repeat(2))
    output = model(**BATCH)
    torch.testing.assert_close(output.loss, task + 2 * (first - second).square().mean())
    torch.testing.assert_close(output.logits, first)


def given(model):
    """What the model's own forward is given in three training steps, by name."""
    seen = []

    def note(model, args, kwargs):
        if torch.is_grad_enabled():  # without gradients a few rows are tried
            seen.append(set(kwargs))

    model.register_forward_pre_hook(note, with_kwargs=True)
    return seen


@pytest.mark.parametrize("as_tuple", [False, True])
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_a_model_computes_its_own_loss_only_until_it_was_seen_to_be_ours(mode, as_tuple):
    how = {"return_dict": False} if as_tuple else {}
    makers = {classifier: BATCH, causal: {"input_ids": words(), "labels": some_labels()}}
    for make, batch in makers.items():
        model, other = (noisy(consistent(make(), RDrop(alpha=1), mode=mode)) for _ in range(2))
        other.__dict__[STATE].labels_are_optional = False
        seen, kept = given(model), given(other)
        found = [(model(**batch, **how), other(**batch, **how)) for _ in range(3)]
        passes = 1 if mode == "auto" else 2
        assert ["labels" in one for one in seen[passes:]] == [False] * 2 * passes
        assert all("labels" in one for one in kept + seen[:passes])
        for ours, theirs in found:
            assert len(ours) == len(theirs)
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])


def test_a_model_that_makes_inputs_of_its_labels_is_always_given_them():
    model = noisy(consistent(t5(), RDrop(alpha=1)))
    seen = given(model)
    for _ in range(3):
        model(input_ids=words(), labels=some_labels())
    assert all("labels" in one for one in seen)


def test_labels_that_are_missing_are_still_missed_in_later_steps():
    model = noisy(consistent(classifier(), RDrop(alpha=1)))
    model(**BATCH)
    with pytest.raises(ObjectiveError, match="needs labels"):
        model(input_ids=words())


def test_the_output_is_of_the_models_own_type_and_of_view_0_alone():
    model = noisy(consistent(classifier(), RDrop(alpha=1)))
    output = model(**BATCH, output_hidden_states=True, output_attentions=True)
    assert type(output).__name__ == "SequenceClassifierOutput"
    assert output.logits.shape == (4, 2)
    assert {len(state) for state in output.hidden_states + output.attentions} == {4}


def test_the_tuple_form_has_the_loss_first():
    model = noisy(consistent(classifier(), RDrop(alpha=1)))
    as_tuple = model(**BATCH, return_dict=False)
    ds.step(model, 0)
    output = model(**BATCH)
    assert len(as_tuple) == 2
    assert torch.equal(as_tuple[0], output.loss)
    assert torch.equal(as_tuple[1], output.logits)


def test_the_cache_in_the_output_is_of_view_0_alone():
    model = noisy(consistent(gpt2(dropout=0.1), RDrop(alpha=1)))
    output = model(input_ids=words(), labels=some_labels())
    assert {layer.keys.shape[0] for layer in output.past_key_values.layers} == {4}


def test_causal_labels_are_shifted_and_padding_does_not_count():
    model = noisy(consistent(gpt2(dropout=0.1), RDrop(alpha=1)))
    labels = some_labels()
    model(input_ids=words(), labels=labels)
    items = int((labels[:, 1:] != -100).sum())
    counts = {name: int(term.count) for name, term in terms_of(model).items()}
    assert counts == {"task": 2 * items, "consistency": items}


def test_generation_is_that_of_the_model():
    prompt = words(rows=2, length=3)
    model = noisy(consistent(gpt2(dropout=0.1), RDrop(alpha=1))).eval()
    plain = gpt2(dropout=0.1).eval()
    settings = {"max_new_tokens": 5, "do_sample": False, "attention_mask": torch.ones(2, 3).long()}
    assert torch.equal(model.generate(prompt, **settings), plain.generate(prompt, **settings))
    assert ds.noise_of(model).step == 0


def test_a_saved_model_loads_with_equal_weights_and_without_the_term(tmp_path):
    model = noisy(consistent(classifier(), RDrop(alpha=1)))
    model(**BATCH).loss.backward()
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path, local_files_only=True)
    state = loaded.state_dict()
    assert list(state) == list(classifier().state_dict())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert torch.equal(loaded.eval()(**BATCH).logits, model.eval()(BATCH["input_ids"]).logits)


@pytest.mark.parametrize("through", [deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_the_same_loss_and_weights_of_their_own(through):
    model = noisy(consistent(classifier(), RDrop(alpha=1)))
    model(**BATCH)
    copy = through(model)
    assert torch.equal(copy(**BATCH).loss, model(**BATCH).loss)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    assert not copy(**BATCH).logits.any()
    assert model(**BATCH).logits.any()
    assert not restore(copy).eval()(words()).logits.any()


def test_a_model_fresh_from_disk_is_in_eval_mode_and_says_so(tmp_path):
    classifier().save_pretrained(tmp_path)
    model = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    consistent(model, RDrop(alpha=1))
    with pytest.warns(UserWarning, match="from_pretrained returns eval mode"):
        own = model(**BATCH)
    assert torch.equal(own.loss, classifier().eval()(**BATCH).loss)
    model.train()
    model(**BATCH)
    assert terms_of(model)["task"].count == 8


def test_dropout_of_the_model_itself_makes_the_views():
    model = consistent(classifier(), TwoSample())
    torch.manual_seed(1)
    loss = model(**BATCH).loss
    torch.manual_seed(1)
    twice = {name: torch.cat([value] * 2) for name, value in BATCH.items()}
    torch.testing.assert_close(loss, classifier()(**twice).loss)


def test_sequences_to_sequences_make_their_decoder_inputs_from_the_labels():
    config = transformers.T5Config(
        vocab_size=30, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.1
    )
    config.decoder_start_token_id = 0
    model = consistent(transformers.T5ForConditionalGeneration(config).train(), RDrop(alpha=1))
    labels = some_labels()
    output = model(input_ids=words(length=5), labels=labels)
    assert output.logits.shape == (4, 7, 30)
    assert terms_of(model)["consistency"].count == (labels != -100).sum()
    with pytest.raises(ObjectiveError, match="needs labels"):
        model(input_ids=words(length=5))
