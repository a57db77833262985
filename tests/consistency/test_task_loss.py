"""The loss inferred from a Hugging Face class is the one its own forward computes."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from consistency.hugging_face import VOCABULARY, bert, gpt2, seed_and_make, some_labels, words
from consistency.tiny import PLAN, X, Y, integers, net, seeded
from dropsmith.consistency import consistent, terms_of
from dropsmith.consistency.task_loss import LabelledLoss, problem_of, task_loss
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop, TaskLoss
from dropsmith.passes.make_views import views

transformers = pytest.importorskip("transformers")
THREE = integers(3, 4)


def on_off(*shape):
    return (seeded(*shape) > 0).float()


def llama():
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    return seed_and_make("LlamaForCausalLM", config)


def llava():
    """A decoder that also sees images: its name says generation, its labels are shifted."""
    vision = transformers.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=llama().config, image_token_id=0
    )
    return seed_and_make("LlavaForConditionalGeneration", config)


def openai_gpt():
    rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    config = transformers.OpenAIGPTConfig(
        vocab_size=VOCABULARY, n_positions=16, n_embd=16, n_layer=1, n_head=2, **rates
    )
    return seed_and_make("OpenAIGPTLMHeadModel", config)


def ctrl():
    config = transformers.CTRLConfig(
        vocab_size=VOCABULARY,
        n_positions=16,
        n_embd=16,
        n_layer=1,
        n_head=2,
        dff=16,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
    )
    return seed_and_make("CTRLLMHeadModel", config)


def xlm():
    config = transformers.XLMConfig(
        vocab_size=VOCABULARY, emb_dim=16, n_layers=1, n_heads=2, dropout=0.0, attention_dropout=0.0
    )
    return seed_and_make("XLMWithLMHeadModel", config)


def bart_config(kind):
    return getattr(transformers, kind)(
        vocab_size=VOCABULARY,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=16,
        dropout=0.0,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
    )


def t5():
    config = transformers.T5Config(
        vocab_size=VOCABULARY,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        dropout_rate=0.0,
        decoder_start_token_id=0,
    )
    return seed_and_make("T5ForConditionalGeneration", config)


def two_berts():
    encoder, decoder = bert("Model").config, bert("LMHeadModel", is_decoder=True).config
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id = 1, 0
    return seed_and_make("EncoderDecoderModel", config)


def vit(**more):
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **more,
    )
    return seed_and_make("ViTForImageClassification", config)


def sentences(labels):
    return {"input_ids": words(), "labels": labels}


def images(labels):
    return {"pixel_values": seeded(4, 3, 8, 8), "labels": labels}


SEQUENCE, DECLARED = "ForSequenceClassification", "multi_label_classification"
HEADS = {
    "classes": (lambda: bert(SEQUENCE, num_labels=3), sentences(THREE)),
    "labels, on or off": (lambda: bert(SEQUENCE, num_labels=3), sentences(on_off(4, 3))),
    "declared labels": (
        lambda: bert(SEQUENCE, num_labels=3, problem_type=DECLARED),
        sentences(on_off(4, 3)),
    ),
    "a value": (lambda: bert(SEQUENCE, num_labels=1), sentences(seeded(4))),
    "several values": (
        lambda: bert(SEQUENCE, num_labels=2, problem_type="regression"),
        sentences(seeded(4, 2)),
    ),
    "tags": (lambda: bert("ForTokenClassification", num_labels=3), sentences(some_labels(3))),
    "tags, whatever is declared": (
        lambda: bert("ForTokenClassification", num_labels=3, problem_type="regression"),
        sentences(some_labels(3)),
    ),
    "masked words": (lambda: bert("ForMaskedLM"), sentences(some_labels())),
    "next sentence": (lambda: bert("ForNextSentencePrediction"), sentences(integers(2, 4))),
    "choices": (
        lambda: bert("ForMultipleChoice"),
        {"input_ids": words(12).view(4, 3, 7), "labels": THREE},
    ),
    "BERT as a decoder": (
        lambda: bert("LMHeadModel", is_decoder=True),
        sentences(some_labels()),
    ),
    "GPT-2": (gpt2, sentences(some_labels())),
    "GPT": (openai_gpt, sentences(some_labels())),
    "CTRL": (ctrl, sentences(some_labels())),
    "Llama": (llama, sentences(some_labels())),
    "LLaVA": (llava, sentences(some_labels())),
    "XLM": (xlm, sentences(some_labels())),
    "BART": (
        lambda: seed_and_make("BartForConditionalGeneration", bart_config("BartConfig")),
        sentences(some_labels()),
    ),
    "Marian": (
        lambda: seed_and_make("MarianMTModel", bart_config("MarianConfig")),
        sentences(some_labels()),
    ),
    "T5": (t5, sentences(some_labels())),
    "two BERTs": (two_berts, sentences(some_labels())),
    "images": (lambda: vit(num_labels=3), images(THREE)),
    "images of many things": (lambda: vit(num_labels=3), images(on_off(4, 3))),
}


@pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")  # of EncoderDecoderModel
@pytest.mark.parametrize(("make", "batch"), HEADS.values(), ids=HEADS)
def test_the_inferred_loss_is_the_models_own_gradients_included(make, batch):
    model, other = make(), make()
    expected = other(**batch)
    output = consistent(model, TaskLoss())(**batch)
    assert type(output) is type(expected)
    torch.testing.assert_close(output.loss, expected.loss, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(output.logits, expected.logits, rtol=0, atol=0)
    output.loss.backward()
    expected.loss.backward()
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    for ours, theirs in pairs:
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_it_says_how_many_items_it_counted():
    model, labels = consistent(gpt2(), TaskLoss()), some_labels()
    model(**sentences(labels))
    assert terms_of(model)["task"].count == (labels[:, 1:] != -100).sum()


@pytest.mark.parametrize("head", ["Model", "ForPreTraining"])
def test_other_models_are_asked_for_their_loss(head):
    with pytest.raises(
        ObjectiveError,
        match=rf"the class Bert{head} does not say what its task loss is[\s\S]*loss=",
    ):
        consistent(bert(head), TaskLoss())


def test_a_head_with_targets_of_its_own_is_not_taken_for_a_causal_one():
    class XLNetLMHeadModel(nn.Module):
        config = SimpleNamespace()

    with pytest.raises(
        ObjectiveError, match="the class XLNetLMHeadModel does not say what its task loss is"
    ):
        problem_of(XLNetLMHeadModel())


def test_a_module_that_only_has_the_name_is_asked_for_its_loss():
    class OwnForSequenceClassification(nn.Module):
        pass

    with pytest.raises(ObjectiveError, match="does not say what its task loss is"):
        problem_of(OwnForSequenceClassification())
    with pytest.raises(
        ObjectiveError, match="the class Sequential does not say what its task loss is"
    ):
        problem_of(net())


def test_missing_labels_are_named_with_what_was_there_and_who_takes_them_away():
    model = consistent(bert(SEQUENCE), TaskLoss())
    with pytest.raises(
        ObjectiveError, match=r"needs labels[\s\S]*given: input_ids\n[\s\S]*label smoothing"
    ):
        model(input_ids=words())
    with pytest.raises(ObjectiveError, match="it was given: Tensor"):
        LabelledLoss("classification")(torch.zeros(2, 2), torch.zeros(2))


def test_a_loss_can_be_given_by_the_name_of_its_problem():
    output, batch = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), {"labels": torch.tensor([0, 0])}
    loss = task_loss("classification", nn.Linear(2, 2))(output, batch)
    want = nn.functional.cross_entropy(output, batch["labels"])
    torch.testing.assert_close(loss.mean.value, want)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.functional.cross_entropy])
def test_a_loss_of_torch_is_an_error_that_says_what_to_give(loss):
    with pytest.raises(ObjectiveError, match=r"ross_?[eE]ntropy.* is of torch[\s\S]*loss=\"class"):
        consistent(net(), RDrop(alpha=1), loss=loss)


def test_a_loss_function_that_returns_a_number_alone_is_told_what_it_lacks():
    def number(output, batch):
        return nn.functional.cross_entropy(output, batch["labels"])

    model = consistent(net(), RDrop(alpha=1), loss=number, plan=PLAN)
    with pytest.raises(ObjectiveError, match=r"returned a Tensor, and no Loss[\s\S]*losses\."):
        model(X, labels=Y)
    batch = {"input": X, "labels": Y}
    made = views(net(), X)
    with pytest.raises(ObjectiveError, match="returned a Tensor, and no Loss"):
        RDrop(alpha=1).terms(replace(made, batches=(batch, batch)), number)


def test_spans_average_over_starts_and_ends_and_leave_out_what_was_cut_off_the_text():
    starts, ends = torch.tensor([0, 3, 6, 7]), torch.tensor([2, 3, 7, 9])
    model = consistent(bert("ForQuestionAnswering"), TaskLoss())
    output = model(input_ids=words(), start_positions=starts, end_positions=ends)
    each = nn.functional.cross_entropy(output.start_logits[:3], starts[:3], reduction="sum")
    each = each + nn.functional.cross_entropy(output.end_logits[:2], ends[:2], reduction="sum")
    torch.testing.assert_close(output.loss, each / 5)
    assert terms_of(model)["task"].count == 5
    with pytest.raises(ObjectiveError, match="needs end_positions"):
        model(input_ids=words(), start_positions=starts)


@pytest.mark.parametrize(("head", "labels"), [(SEQUENCE, THREE), ("ForMaskedLM", some_labels())])
def test_label_smoothing_is_the_trainers_own(head, labels):
    from transformers.trainer_pt_utils import LabelSmoother

    model = consistent(bert(head, num_labels=3), TaskLoss(), label_smoothing=0.1)
    output = model(input_ids=words(), labels=labels)
    expected = LabelSmoother(epsilon=0.1)({"logits": output.logits}, labels)
    torch.testing.assert_close(output.loss, expected)


def test_label_smoothing_where_there_is_no_class_is_an_error():
    with pytest.raises(
        ObjectiveError, match="one class among several, the task here is regression"
    ):
        consistent(bert(SEQUENCE, num_labels=1), TaskLoss(), label_smoothing=0.1)
    with pytest.raises(ObjectiveError, match="label_smoothing belongs to a loss that is named"):
        consistent(net(), TaskLoss(), loss=lambda output, batch: None, label_smoothing=0.1)


@pytest.mark.parametrize(
    ("problem", "kind"), [("regression", "regression"), (DECLARED, "multi_label")]
)
def test_a_term_that_compares_something_else_than_the_task_has_is_an_error(problem, kind):
    model = bert(SEQUENCE, num_labels=3, problem_type=problem)
    with pytest.raises(ObjectiveError, match=rf'compares classification\n  set kind="{kind}"'):
        consistent(model, RDrop(alpha=1))
    consistent(model, RDrop(alpha=1, kind=kind))


def test_a_misspelt_problem_is_named_with_its_likely_correction():
    with pytest.raises(ObjectiveError, match=r"did you mean 'classification'"):
        task_loss("clasification", nn.Linear(2, 2))
