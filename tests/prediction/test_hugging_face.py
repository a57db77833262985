import pytest
import torch

from dropsmith.prediction.run_predict import predict

transformers = pytest.importorskip("transformers")

WORDS = torch.arange(21).view(3, 7) % 13
PADDED = torch.ones(3, 7, dtype=torch.long)
PADDED[1, 4:] = 0
TEXT = {"input_ids": WORDS, "attention_mask": PADDED}


def bert(attention, **rates):
    torch.manual_seed(0)
    sizes = {"vocab_size": 13, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
    config = transformers.BertConfig(
        **sizes,
        num_attention_heads=2,
        initializer_range=0.5,
        attn_implementation=attention,
        **rates,
    )
    return transformers.BertForSequenceClassification(config).eval()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_dropout_of_attention_alone_is_felt(attention):
    model = bert(attention, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    prediction = predict(model, TEXT | {"labels": torch.zeros(3).long()}, samples=6)
    assert prediction.mean.shape == (3, 2)
    assert (prediction.mutual_information > 1e-4).all()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_shortcuts_equal_a_plain_loop(attention):
    model = bert(attention)
    plain = predict(model, TEXT, samples=5, mode="looped", replay=False, keep=True)
    torch.testing.assert_close(predict(model, TEXT, samples=5, keep=True).draws, plain.draws)


def test_layers_below_the_noise_run_once_for_all_samples():
    model = bert("sdpa", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model.dropout.p = 0.3
    rows = []
    model.bert.encoder.layer[0].register_forward_hook(
        lambda m, given, out: rows.append(len(given[0]))
    )
    model.bert.encoder.layer[0].attention.self.query.register_forward_hook(
        lambda m, given, out: rows.append(-len(given[0]))
    )
    predict(model, {"input_ids": WORDS.repeat(3, 1)}, samples=20)
    assert [row for row in rows if abs(row) >= 9] == [-9, 9]


@pytest.mark.slow
def test_calls_of_one_module_keep_their_different_rates():
    # BART drops its activations at another rate than its hidden states, in the same module.
    torch.manual_seed(0)
    two = ("encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads")
    small = {"vocab_size": 13, "d_model": 16, "max_position_embeddings": 16, "init_std": 0.3}
    marks = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = transformers.BartConfig(
        **dict.fromkeys(two, 2) | small | marks,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        dropout=0.4,
        activation_dropout=0.0,
    )
    model = transformers.BartForConditionalGeneration(config).train()
    batch, samples = {"input_ids": WORDS[:, :4]}, 600
    ours = predict(model, batch, samples, kind="regression")
    with torch.no_grad():
        theirs = torch.stack([model(**batch)[0] for _ in range(samples)])
    # The variance of all outputs together; were activations dropped too it would be far larger.
    ratio = (ours.variance.sum() / theirs.var(0).sum()).item()
    assert ratio == pytest.approx(1, abs=0.1)


def test_a_model_that_is_loaded_in_eval_mode_is_sampled(tmp_path):
    bert("sdpa").save_pretrained(tmp_path)
    model = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    assert not model.training
    assert (predict(model, TEXT, samples=4).mutual_information > 1e-4).all()


def test_tokens_have_an_uncertainty_each():
    torch.manual_seed(0)
    small = {"vocab_size": 13, "n_positions": 8, "n_embd": 16, "n_layer": 2, "n_head": 2}
    config = transformers.GPT2Config(**small, bos_token_id=0, eos_token_id=0, initializer_range=0.3)
    model = transformers.GPT2LMHeadModel(config)
    prediction = predict(model, {"input_ids": WORDS}, samples=5)
    assert prediction.mean.shape == (3, 7, 13)
    assert prediction.entropy is not None
    assert prediction.entropy.shape == (3, 7)
