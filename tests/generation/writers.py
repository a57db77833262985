"""Small models of transformers that write sequences, and their passes made by hand."""

import torch
import transformers

from dropsmith.noise import PREDICTION, ForwardPass, find_noise
from dropsmith.plans import Plan
from dropsmith.prediction import native_plan

PROMPTS = torch.randint(3, 20, (3, 5), generator=torch.Generator().manual_seed(1))
SIZES = {"vocab_size": 20, "initializer_range": 0.4}
MARKS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def gpt2(attention="eager", rate=0.2, **settings):
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_positions=64,
        n_embd=16,
        n_layer=2,
        n_head=2,
        resid_pdrop=rate,
        embd_pdrop=rate,
        attn_pdrop=rate,
        attn_implementation=attention,
        **SIZES | MARKS | settings,
    )
    return transformers.GPT2LMHeadModel(config)


def llama(rate=0.3, **settings):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        attention_dropout=rate,
        **SIZES | MARKS | settings,
    )
    return transformers.LlamaForCausalLM(config)


def mistral():
    """Attention over the last four places alone."""
    torch.manual_seed(0)
    config = transformers.MistralConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        attention_dropout=0.3,
        sliding_window=4,
        **SIZES | MARKS,
    )
    return transformers.MistralForCausalLM(config)


def t5():
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=20,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        dropout_rate=0.2,
        decoder_start_token_id=0,
        initializer_factor=3.0,
        **MARKS,
    )
    return transformers.T5ForConditionalGeneration(config)


def bart():
    torch.manual_seed(0)
    config = transformers.BartConfig(
        vocab_size=20,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        init_std=0.4,
        dropout=0.2,
        attention_dropout=0.2,
        activation_dropout=0.2,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
        forced_bos_token_id=None,
        **MARKS,
    )
    return transformers.BartForConditionalGeneration(config)


WRITERS = {
    "gpt2": gpt2,
    "gpt2, fused attention": lambda: gpt2("sdpa"),
    "llama": llama,
    "mistral": mistral,
    "t5": t5,
    "bart": bart,
}


def log_probs_by_hand(model, prompts, written, length, *, plan=None, seed=0, stratified=True):
    """The log-probability of each token that was written, from one pass over each whole sequence.

    A causal model gives each place the same scores whatever follows it, so the sequence is filled
    up to the length for which masks are drawn.
    """
    samples = written.samples
    seq2seq = model.config.is_encoder_decoder
    start = model.generation_config.decoder_start_token_id
    example = {"input_ids": prompts}
    if seq2seq:
        example["decoder_input_ids"] = prompts[:, :1]
    rules = (*native_plan(model, example).rules, *(plan.rules if plan is not None else ()))
    model.eval()
    found = []
    with Plan(*rules).installed(model, example, seed=seed), torch.no_grad():
        for number in range(samples):
            one = ForwardPass(
                views=(number,),
                domain=PREDICTION,
                step=0,
                sampling=True,
                strata=samples if stratified else 0,
            )
            before = torch.full_like(prompts[:, :1], start) if seq2seq else prompts
            places = torch.cat([before, written.tokens[number]], 1)
            total = before.shape[1] + length + 1
            places = torch.nn.functional.pad(places, (0, total - places.shape[1]), value=3)
            inputs = {"decoder_input_ids": places} if seq2seq else {}
            with find_noise(model).passing(one):
                logits = model(**{"input_ids": prompts if seq2seq else places} | inputs).logits
            tokens = written.tokens[number]
            first = before.shape[1] - 1
            scores = logits[:, first : first + tokens.shape[1]].double().log_softmax(-1)
            found.append(scores.gather(-1, tokens[..., None]).squeeze(-1))
    return torch.where(written.mask, torch.stack(found), 0)
