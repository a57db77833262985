"""The likelihood of given texts, against passes made by hand and float64 sums."""

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("transformers")

from dropsmith.errors import NoiseError
from dropsmith.generation import likelihood
from dropsmith.models import SmallLSTM, lstm_plan
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from generation.writers import PROMPTS, WRITERS, gpt2, t5
from prediction.by_hand import outputs_by_hand

KEPT = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])


def by_hand(model, batch, labels, samples, shift, plan=None):
    outputs = outputs_by_hand(model, batch, samples, plan=plan)
    scores = torch.stack([getattr(y, "logits", y) for y in outputs]).double()
    if shift:
        scores, labels = scores[:, :, :-1], labels[:, 1:]
    logs = scores.log_softmax(-1).numpy()
    found = np.zeros((samples, *labels.shape))
    for row in range(len(labels)):
        for place in range(labels.shape[1]):
            token = int(labels[row, place])
            if token != -100:
                found[:, row, place] = logs[:, row, place, token]
    return found


def check(found, expected):
    samples = len(expected)
    np.testing.assert_allclose(found.log_probs.double().numpy(), expected, atol=2e-5)
    sums = expected.sum(-1)
    mean = np.log(np.exp(sums).sum(0) / samples)
    np.testing.assert_allclose(found.log_likelihood.double().numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(found.spread.double().numpy(), sums.std(0), rtol=1e-3)
    np.testing.assert_allclose(found.by_sample.double().numpy(), sums, rtol=1e-5)
    tokens = np.log(np.exp(expected).mean(0)) * found.mask.numpy()
    np.testing.assert_allclose(found.token_log_likelihood.double().numpy(), tokens, atol=2e-5)
    deviation = expected.std(0)
    np.testing.assert_allclose(found.token_spread.double().numpy(), deviation, atol=2e-5)
    perplexity = np.exp(-mean / found.mask.sum(-1).numpy())
    np.testing.assert_allclose(found.perplexity.double().numpy(), perplexity, rtol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_causal_model_scores_the_next_tokens(name):
    model = WRITERS[name]()
    batch = {"input_ids": PROMPTS, "attention_mask": KEPT}
    found = likelihood(model, batch, 6)
    assert torch.equal(found.mask, KEPT[:, 1:].bool())
    check(found, by_hand(model, batch, torch.where(KEPT.bool(), PROMPTS, -100), 6, True))


def test_labels_leave_a_prompt_out():
    labels = PROMPTS.clone()
    labels[:, :3] = -100
    found = likelihood(gpt2(), {"input_ids": PROMPTS, "labels": labels}, 5)
    assert found.mask.tolist() == [[False, False, True, True]] * 3
    check(found, by_hand(gpt2(), {"input_ids": PROMPTS}, labels, 5, True))


@pytest.mark.slow
def test_a_model_with_an_encoder_scores_its_labels():
    labels = PROMPTS[:, 1:].clone()
    labels[1, 2:] = -100
    batch = {"input_ids": PROMPTS, "attention_mask": KEPT, "labels": labels}
    found = likelihood(t5(), batch, 5)
    check(found, by_hand(t5(), batch, labels, 5, False))
    with pytest.raises(NoiseError, match="as labels"):
        likelihood(t5(), {"input_ids": PROMPTS, "decoder_input_ids": PROMPTS}, 5)


@pytest.mark.parametrize("memory", [1, 10**8])
def test_how_many_samples_are_stacked_changes_nothing(memory):
    found = likelihood(gpt2(), {"input_ids": PROMPTS}, 5, memory=memory)
    check(found, by_hand(gpt2(), {"input_ids": PROMPTS}, PROMPTS, 5, True))


def test_a_model_of_ones_own_says_how_its_scores_stand():
    torch.manual_seed(0)
    model, plan = SmallLSTM(words=20, width=8), lstm_plan("variational", 0.3)
    batch = {"tokens": PROMPTS, "labels": PROMPTS.roll(-1, 1)}
    with pytest.raises(NoiseError, match=r"class SmallLSTM does not say[\s\S]*shift=True"):
        likelihood(model, batch, 5, plan=plan)
    found = likelihood(model, batch, 5, plan=plan, shift=False)
    expected = by_hand(model, {"tokens": PROMPTS}, batch["labels"], 5, False, plan)
    check(found, expected)


class Carrying(nn.Module):
    """A language model with native dropout, whose states have their rows second."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.lstm = nn.Embedding(20, 8), nn.LSTM(8, 8, batch_first=True)
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(8, 20)

    def forward(self, tokens, state=None):
        hidden, state = self.lstm(self.words(tokens), state)
        return self.head(self.drop(hidden)), state


LONG = torch.randint(0, 20, (3, 12), generator=torch.Generator().manual_seed(2))
HELD = Plan(rule("drop", Bernoulli(rate=0.3, shared="time"), axes="batch time unit"))


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("memory", [1, 10**8])
@pytest.mark.parametrize("window", [1, 5, 12, 40])
def test_a_long_text_read_in_windows_is_as_likely_as_read_at_once(window, memory, shift):
    batch = {"tokens": LONG, "labels": LONG if shift else LONG.roll(-1, 1)}
    found = likelihood(
        Carrying(), batch, 5, plan=HELD, shift=shift, memory=memory, window=window,
        carry=lambda output: {"state": output[1]},
    )  # fmt: skip
    whole = likelihood(Carrying(), batch, 5, plan=HELD, shift=shift)
    torch.testing.assert_close(found.log_probs, whole.log_probs, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.mask, whole.mask)


def test_every_sample_starts_a_window_from_the_state_it_ended_the_one_before_with():
    plan = lstm_plan("variational", 0.3)
    torch.manual_seed(0)
    model = SmallLSTM(words=20, width=8)
    batch = {"tokens": LONG, "labels": LONG.roll(-1, 1)}
    found = likelihood(
        model, batch, 5, plan=plan, shift=False, window=4, carry=lambda y: {"state": y.state}
    )
    check(found, by_hand(model, {"tokens": LONG}, batch["labels"], 5, False, plan))
    from_nothing = likelihood(
        model, batch, 5, plan=plan, shift=False, window=4, carry=lambda output: {}
    )
    assert not torch.allclose(from_nothing.log_probs, found.log_probs, atol=1e-3)


def test_a_window_that_hands_nothing_on_is_asked_about():
    with pytest.raises(NoiseError, match=r"carry=None does not say[\s\S]*output\[1\]"):
        likelihood(gpt2(), {"input_ids": PROMPTS}, 5, window=3)
    with pytest.raises(NoiseError, match="read in one"):
        likelihood(gpt2(), {"input_ids": PROMPTS}, 5, carry=lambda output: {})


def test_the_mean_over_texts_is_no_mean_over_places():
    found = likelihood(gpt2(rate=0.5), {"input_ids": PROMPTS}, 30)
    by_places = found.token_log_likelihood.sum(-1)
    assert not torch.allclose(found.log_likelihood, by_places, rtol=1e-3)
    # The mean of products is at least the product of geometric means.
    assert (found.log_likelihood >= found.by_sample.mean(0) - 1e-5).all()


def test_what_has_no_tokens_or_scores_of_them_is_refused():
    with pytest.raises(NoiseError, match="the batch has: inputs"):
        likelihood(gpt2(), {"inputs": PROMPTS}, 5)
    with pytest.raises(NoiseError, match="a batch by name"):
        likelihood(gpt2(), PROMPTS, 5)
    tagger = nn.Sequential(nn.Embedding(20, 4), nn.Dropout(0.5), nn.Flatten())
    with pytest.raises(NoiseError, match=r"\(3, 20\) do not fit tokens of shape \(3, 5\)"):
        likelihood(tagger, {"input": PROMPTS, "labels": PROMPTS}, 5, shift=False)
