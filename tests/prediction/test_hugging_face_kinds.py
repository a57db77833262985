"""Models of Hugging Face say what their scores are; padding and ignored labels do not count."""

import pytest
import torch

from dropsmith.prediction import predict
from prediction.by_hand import check_classes, close, numbers, outputs_by_hand, sigmoid

transformers = pytest.importorskip("transformers")

WORDS = torch.arange(21).view(3, 7) % 13
PADDED = torch.ones(3, 7, dtype=torch.long)
PADDED[1, 4:] = 0
TEXT = {"input_ids": WORDS, "attention_mask": PADDED}
CHOICES = {name: x[:, None].repeat(1, 4, 1) for name, x in TEXT.items()}
CHOICES["input_ids"] = (CHOICES["input_ids"] + torch.arange(4)[:, None]) % 13
PICTURES = {"pixel_values": torch.randn(2, 3, 32, 32)}


def bert(name, **settings):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=13,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.5,
        **settings,
    )
    return getattr(transformers, f"BertFor{name}")(config)


def segformer():
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=8,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=16,
        initializer_range=0.5,
        classifier_dropout_prob=0.3,
        hidden_dropout_prob=0.2,
    )
    return transformers.SegformerForSemanticSegmentation(config)


def gpt2():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=13, n_positions=8, n_embd=16, n_layer=1, n_head=2, initializer_range=0.5
    )
    return transformers.GPT2LMHeadModel(config)


CLASSES = {
    "a text": (lambda: bert("SequenceClassification", num_labels=7), TEXT, (3, 7), -1),
    "words": (lambda: bert("TokenClassification", num_labels=7), TEXT, (3, 7, 7), -1),
    "masked words": (lambda: bert("MaskedLM"), TEXT, (3, 7, 13), -1),
    "choices": (lambda: bert("MultipleChoice"), CHOICES, (3, 4), -1),
    "pixels": (segformer, PICTURES, (2, 8, 8, 8), 1),
    "next words": (gpt2, TEXT, (3, 7, 13), -1),
}


@pytest.mark.parametrize("name", CLASSES)
def test_the_classes_are_those_of_the_model(name):
    make, batch, shape, axis = CLASSES[name]
    model = make()
    found = predict(model, batch, 5)
    assert found.mean.shape == shape
    assert (found.kind, found.class_axis) == ("classification", axis)
    outputs = outputs_by_hand(model, batch, 5)
    check_classes(found, torch.stack([output.logits for output in outputs]), axis)


def test_spans_have_a_distribution_of_starts_and_of_ends_over_the_text():
    model = bert("QuestionAnswering")
    found = predict(model, TEXT, 5)
    outputs = outputs_by_hand(model, TEXT, 5)
    scores = [torch.stack([o.start_logits, o.end_logits], 1) for o in outputs]
    check_classes(found, torch.stack(scores), -1)
    apart = predict(
        model, TEXT, 5, kind={"start_logits": "classification", "end_logits": "classification"}
    )
    close(apart["end_logits"].mean, numbers(found.mean[:, 1]))


def test_several_labels_are_known_from_the_configuration():
    model = bert("SequenceClassification", num_labels=7, problem_type="multi_label_classification")
    found = predict(model, TEXT, 5)
    assert found.kind == "multi_label"
    each = sigmoid(numbers(torch.stack([o.logits for o in outputs_by_hand(model, TEXT, 5)])))
    close(found.mean, each.mean(0))
    close(found.variance, each.var(0))


def test_a_model_of_one_label_predicts_a_value():
    model = bert("SequenceClassification", num_labels=1)
    found = predict(model, TEXT, 5)
    assert found.kind == "regression"
    each = numbers(torch.stack([o.logits for o in outputs_by_hand(model, TEXT, 5)]))
    close(found.mean, each.mean(0))
    close(found.variance, each.var(0))


@pytest.mark.parametrize("name", ["words", "masked words"])
def test_words_of_padding_do_not_count(name):
    make, batch, _, _ = CLASSES[name]
    found = predict(make(), batch, 5)
    assert torch.equal(found.mask, PADDED.bool())
    means = [found.entropy[row, PADDED[row].bool()].mean() for row in range(3)]
    torch.testing.assert_close(found.average(found.entropy), torch.stack(means))


def test_ignored_labels_do_not_count():
    labels = WORDS % 5
    labels[0, 2:4] = labels[1, 4:] = -100
    found = predict(bert("TokenClassification", num_labels=7), TEXT | {"labels": labels}, 5)
    assert torch.equal(found.mask, labels != -100)


def test_the_labels_of_a_causal_model_are_those_of_the_next_places():
    labels = WORDS.clone()
    labels[0, :3] = -100
    found = predict(gpt2(), {"input_ids": WORDS, "labels": labels}, 5)
    assert found.mask.tolist() == [
        [False, False, True, True, True, True, False],
        *[[True] * 6 + [False]] * 2,
    ]


@pytest.mark.slow
def test_pixels_of_the_label_that_a_model_ignores_do_not_count():
    labels = torch.randint(0, 8, (2, 8, 8))
    labels[0, :4] = 255
    found = predict(segformer(), PICTURES | {"labels": labels}, 4)
    assert torch.equal(found.mask, labels != 255)
    assert len(found.to_table()["id"]) == 64 + 32


def test_the_padding_of_the_source_is_none_of_the_target():
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=13,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    model = transformers.T5ForConditionalGeneration(config)
    assert predict(model, TEXT | {"decoder_input_ids": WORDS}, 4).mask is None
    labels = torch.where(WORDS > 9, -100, WORDS)
    found = predict(model, TEXT | {"labels": labels}, 4)
    assert torch.equal(found.mask, labels != -100)
