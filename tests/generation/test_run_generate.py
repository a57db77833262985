"""A sequence is written under one mask, which it has at every step, with a cache and without."""

import pytest
import torch

pytest.importorskip("transformers")

from dropsmith.errors import NoiseError
from dropsmith.generation import generate
from dropsmith.noise import find_noise, plan_of
from dropsmith.patterns import (
    Bernoulli,
    DropConnect,
    Gaussian,
    Off,
    Spans,
    StochasticDepth,
    TorchDropout,
    WordDropout,
)
from dropsmith.plans import Plan, rule, select
from generation.writers import PROMPTS, WRITERS, gpt2, llama, log_probs_by_hand, t5

LENGTH = 5


def same(one, two):
    assert torch.equal(one.tokens, two.tokens)
    assert torch.equal(one.mask, two.mask)
    wide = one.log_probs.dtype == torch.float64
    close = {"atol": 1e-9, "rtol": 0} if wide else {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(one.log_probs, two.log_probs, **close)


@pytest.mark.parametrize("name", WRITERS)
def test_the_scores_are_those_of_one_pass_over_the_whole_sequence(name):
    model = WRITERS[name]().double()
    written = generate(model, PROMPTS, 4, max_new_tokens=LENGTH, seed=3)
    expected = log_probs_by_hand(model, PROMPTS, written, LENGTH, seed=3)
    torch.testing.assert_close(written.log_probs, expected, atol=2e-6, rtol=0)
    assert not torch.equal(written.tokens[0], written.tokens[1])
    again = generate(model, PROMPTS, 4, max_new_tokens=LENGTH, seed=3)
    assert torch.equal(again.tokens, written.tokens)


@pytest.mark.parametrize("name", WRITERS)
def test_a_cache_and_stacking_change_nothing(name):
    model = WRITERS[name]().double()
    written = generate(model, PROMPTS, 3, max_new_tokens=LENGTH)
    plain = {"use_cache": False, "mode": "looped"}
    same(generate(model, PROMPTS, 3, max_new_tokens=LENGTH, **plain), written)


PLANS = {
    "shared over time": Plan(rule("transformer.drop", Bernoulli(rate=0.4, shared="time"))),
    "each place": Plan(rule("transformer.h.1.mlp.c_fc", Bernoulli(rate=0.4))),
    "gaussian": Plan(rule("transformer.h.*.mlp", Gaussian(rate=0.3))),
    "spans": Plan(rule("transformer.drop", Spans(size=2, stride=4))),
    "attention": Plan(rule(select(kind="attention"), Bernoulli(rate=0.3))),
    "words": Plan(rule("transformer.wte", WordDropout(rate=0.3))),
    "weights": Plan(rule("transformer.h.0.mlp.c_fc.weight", DropConnect(rate=0.3))),
    "branches": Plan(rule("transformer.h.*.mlp", StochasticDepth(rate=0.4))),
    "one mask for several sites": Plan(
        rule("transformer.h.*.mlp", Bernoulli(rate=0.3), mask="one")
    ),
    "one mask for all rows": Plan(rule("transformer.drop", Bernoulli(rate=0.4, shared="batch"))),
    "the scores": Plan(rule("lm_head.input", Bernoulli(rate=0.3))),
}
NO_PATTERN_FOR_ALL_PLACES = {"the scores"}
"""The last layer sees one place at each step alone: it has one mask for all."""


@pytest.mark.parametrize("name", PLANS)
def test_masks_of_every_pattern_hold_over_the_steps(name):
    model, plan = gpt2("sdpa", rate=0.0).double(), PLANS[name]
    options = {"max_new_tokens": LENGTH, "plan": plan, "seed": 5}
    written = generate(model, PROMPTS, 3, **options)
    same(generate(model, PROMPTS, 3, use_cache=False, mode="looped", **options), written)
    assert len({tuple(tokens.flatten().tolist()) for tokens in written.tokens}) > 1
    if name not in NO_PATTERN_FOR_ALL_PLACES:
        expected = log_probs_by_hand(model, PROMPTS, written, LENGTH, plan=plan, seed=5)
        torch.testing.assert_close(written.log_probs, expected, atol=2e-6, rtol=0)


def test_a_module_that_encoder_and_decoder_share_has_a_mask_for_each():
    model, plan = t5().double(), Plan(rule("encoder.embed_tokens", Bernoulli(rate=0.4)))
    model.decoder.embed_tokens = model.encoder.embed_tokens
    written = generate(model, PROMPTS, 3, max_new_tokens=LENGTH, plan=plan)
    expected = log_probs_by_hand(model, PROMPTS, written, LENGTH, plan=plan)
    # T5 has its norms and softmax in float32, also in a model of float64.
    torch.testing.assert_close(written.log_probs, expected, atol=1e-5, rtol=0)


def test_the_installed_plan_is_the_noise():
    model, plan = gpt2(rate=0.0), PLANS["shared over time"]
    given = generate(model, PROMPTS, 3, max_new_tokens=4, plan=plan)
    with plan.installed(model, PROMPTS):
        installed = generate(model, PROMPTS, 3, max_new_tokens=4)
    same(installed, given)


@pytest.mark.slow
def test_sampled_tokens_follow_the_seed_and_not_the_number_of_samples_in_a_batch():
    model = gpt2()
    options = {"max_new_tokens": LENGTH, "do_sample": True, "top_k": 0, "draws": "independent"}
    three = generate(model, PROMPTS, 3, **options)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    same(generate(model, PROMPTS, 3, memory=10**9, **options), three)
    assert torch.equal(torch.get_rng_state(), state)
    five = generate(model, PROMPTS, 5, **options)
    same(generate(model, PROMPTS, 3, use_cache=False, **options), three)
    assert torch.equal(five.tokens[:3, :, : three.tokens.shape[-1]], three.tokens)
    expected = log_probs_by_hand(model, PROMPTS, three, LENGTH, stratified=False)
    torch.testing.assert_close(three.log_probs.double(), expected, atol=1e-4, rtol=1e-4)


def test_tokens_after_the_end_do_not_count():
    model = gpt2()
    written = generate(model, PROMPTS, 6, max_new_tokens=20, do_sample=True, eos_token_id=[2, 4])
    ended = 0
    for tokens, mask, scores in zip(
        written.tokens.flatten(0, 1),
        written.mask.flatten(0, 1),
        written.log_probs.flatten(0, 1),
        strict=True,
    ):
        ends = [place for place, token in enumerate(tokens.tolist()) if token in (2, 4)]
        length = ends[0] + 1 if ends else len(tokens)
        ended += bool(ends)
        assert mask.tolist() == [place < length for place in range(len(tokens))]
        assert (scores[length:] == 0).all()
        assert (scores[:length] < 0).all()
    assert ended
    assert (written.lengths < written.tokens.shape[-1]).any()
    torch.testing.assert_close(written.sequence_log_probs, written.log_probs.sum(-1))
    torch.testing.assert_close(
        written.mean_log_probs, written.log_probs.sum(-1) / written.mask.sum(-1)
    )


def test_prompts_may_be_padded_on_the_left():
    model = llama()
    mask = torch.ones_like(PROMPTS)
    mask[1, :2] = 0
    written = generate(model, {"input_ids": PROMPTS, "attention_mask": mask}, 3, max_new_tokens=5)
    other = PROMPTS.clone()
    other[1, :2] = 7
    again = generate(model, {"input_ids": other, "attention_mask": mask}, 3, max_new_tokens=5)
    same(again, written)
    assert not torch.equal(generate(model, PROMPTS, 3, max_new_tokens=5).tokens, written.tokens)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral"])
def test_a_prompt_may_be_one_token(name):
    model, prompts = WRITERS[name]().double(), PROMPTS[:, :1]
    written = generate(model, prompts, 3, max_new_tokens=LENGTH)
    same(generate(model, prompts, 3, max_new_tokens=LENGTH, use_cache=False), written)
    expected = log_probs_by_hand(model, prompts, written, LENGTH)
    torch.testing.assert_close(written.log_probs, expected, atol=2e-6, rtol=0)


def test_one_sample_is_enough_and_labels_are_no_prompt():
    batch = {"input_ids": PROMPTS, "labels": PROMPTS}
    assert generate(gpt2(), batch, 1, max_new_tokens=3).tokens.shape == (1, 3, 3)


def test_options_of_transformers_hold():
    model = gpt2()
    written = generate(
        model, PROMPTS, 3, max_new_tokens=6, bad_words_ids=[[n] for n in range(3, 12)]
    )
    assert not ((written.tokens >= 3) & (written.tokens < 12)).any()
    model.generation_config.do_sample = True
    sampled = generate(model, PROMPTS, 3, max_new_tokens=6)
    model.generation_config.do_sample = False
    assert not torch.equal(generate(model, PROMPTS, 3, max_new_tokens=6).tokens, sampled.tokens)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_adapters_are_sampled_too():
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        r=2,
        lora_dropout=0.5,
        target_modules=["c_attn"],
        init_lora_weights=False,
        fan_in_fan_out=True,
    )
    model = peft.get_peft_model(gpt2(rate=0.0), config)
    written = generate(model, PROMPTS, 4, max_new_tokens=LENGTH)
    same(generate(model, PROMPTS, 4, max_new_tokens=LENGTH, use_cache=False), written)
    assert len({tuple(tokens.flatten().tolist()) for tokens in written.tokens}) > 1


def test_nothing_is_left_on_the_model():
    model = t5().train()
    config = model.generation_config.to_dict()
    generate(model, PROMPTS, 2, max_new_tokens=3)
    assert model.training
    assert plan_of(model) is find_noise(model) is None
    assert model.generation_config.to_dict() == config
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_a_model_without_noise_is_refused():
    with pytest.raises(NoiseError, match="every sample would be the same"):
        generate(gpt2(rate=0.0), PROMPTS, 3)


def test_noise_that_torch_draws_cannot_be_held():
    model = gpt2()
    model.transformer.drop = torch.nn.AlphaDropout(0.3)
    with pytest.raises(NoiseError, match=r"noise of transformer.drop itself[\s\S]*Bernoulli"):
        generate(model, PROMPTS, 3)
    left_out = Plan(rule("transformer.drop", Off()))
    assert generate(model, PROMPTS, 2, max_new_tokens=2, plan=left_out).samples == 2


def test_dropout_at_another_rate_is_held_as_dropout_is():
    written = [
        generate(gpt2(), PROMPTS, 3, max_new_tokens=4, plan=Plan(rule("transformer.drop", pattern)))
        for pattern in (TorchDropout(rate=0.3), Bernoulli(rate=0.3))
    ]
    assert torch.equal(written[0].tokens, written[1].tokens)
    assert torch.equal(written[0].log_probs, written[1].log_probs)


def test_dropout_that_a_plan_retunes_is_held_as_drawn_by_key():
    retuned, keyed = (
        generate(gpt2(), PROMPTS, 3, plan=Plan(rule("transformer.drop", pattern(rate=0.3))))
        for pattern in (TorchDropout, Bernoulli)
    )
    assert torch.equal(retuned.tokens, keyed.tokens)
    assert torch.equal(retuned.log_probs, keyed.log_probs)


class Skipping(torch.nn.Module):
    """A layer that runs at every other place alone."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.drop = inner, torch.nn.Dropout(0.5)

    def forward(self, x, *args, **kwargs):
        x = self.drop(x) if x.shape[1] % 2 else x
        return self.inner(x, *args, **kwargs)


def test_a_site_that_runs_at_some_places_alone_is_refused():
    model = gpt2()
    model.transformer.h[0].mlp = Skipping(model.transformer.h[0].mlp)
    with pytest.raises(NoiseError, match=r"'transformer.h.0.mlp.drop' runs in some steps"):
        generate(model, PROMPTS, 3)


REFUSED = {
    "num_beams": (3, "beam_search"),
    "num_return_sequences": (2, "samples="),
    "penalty_alpha": (0.6, "contrastive_search"),
    "prompt_lookup_num_tokens": (3, "assisted_generation"),
    "guidance_scale": (1.5, "twice"),
    "stop_strings": (["a"], "eos_token_id"),
    "max_time": (1.0, "clock"),
    "prefill_chunk_size": (2, "in one step"),
    "max_length": (9, "max_new_tokens"),
    "cache_implementation": ("static", "use_cache=False"),
    "generation_config": (None, "by name"),
    "streamer": (None, "by name"),
    "temprature": (0.5, "did you mean 'temperature'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_mix_masks_is_refused(name):
    value, words = REFUSED[name]
    more = {"top_k": 4} if name == "penalty_alpha" else {}
    with pytest.raises(NoiseError, match=words):
        generate(gpt2(), PROMPTS, 2, **{name: value}, **more)


def test_what_writes_no_sequences_is_refused():
    with pytest.raises(NoiseError, match="a value of type Linear is none"):
        generate(torch.nn.Linear(2, 2), PROMPTS)
    with pytest.raises(NoiseError, match="token ids or a mapping"):
        generate(gpt2(), [PROMPTS])


def test_texts_are_those_of_the_tokens_that_count():
    class Words:
        def decode(self, tokens, skip_special_tokens):
            return " ".join(f"w{token}" for token in tokens.tolist())

    written = generate(gpt2(), PROMPTS, 2, max_new_tokens=12)
    texts = written.texts(Words())
    assert (len(texts), len(texts[0])) == (3, 2)
    kept = written.tokens[1, 2][written.mask[1, 2]].tolist()
    assert texts[2][1] == " ".join(f"w{token}" for token in kept)
