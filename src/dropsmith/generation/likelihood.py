"""The likelihood of given texts under a model's noise, with its spread over the samples."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, arguments
from dropsmith.consistency import problem_of
from dropsmith.errors import NoiseError, ObjectiveError, excerpt
from dropsmith.generation.windows import check_windows, windows_of
from dropsmith.instances import check_bool
from dropsmith.noise import RowAxes
from dropsmith.numbers import check_whole
from dropsmith.passes import Scores, check_scores
from dropsmith.plans import Plan
from dropsmith.prediction import (
    Carry,
    Draws,
    Head,
    Sampler,
    budget_of,
    check_sampling,
    chunks_of,
    probe,
    sampling,
    strata_of,
    unwrapped,
)

_IGNORED = -100


@dataclass(frozen=True, kw_only=True, eq=False)
class Likelihood:
    """The log-probabilities, in nats, of the tokens of given texts, under each sample of the noise.

    Args:
        log_probs: `[samples, batch, time]`, each given the tokens before it; 0 where none counts.
        mask: True for the tokens that count, `[batch, time]`.
    """

    log_probs: Tensor
    mask: Tensor

    @property
    def by_sample(self) -> Tensor:
        """The log-likelihood of each text under each sample, `[samples, batch]`."""
        return self.log_probs.sum(-1)

    @property
    def log_likelihood(self) -> Tensor:
        """The log of the mean likelihood of each text over the samples, `[batch]`.

        A sample's mask is held over the text, so the mean is over products of the probabilities
        of its tokens (expectation of products; Malinin & Gales, 2021, section 3).
        """
        return _log_mean(self.by_sample)

    @property
    def spread(self) -> Tensor:
        """The standard deviation over the samples of each text's log-likelihood, `[batch]`."""
        return self.by_sample.std(0, correction=0)

    @property
    def token_log_likelihood(self) -> Tensor:
        """The log of each token's mean probability over the samples, `[batch, time]`.

        Their sum is the log-likelihood of a model that averages at every place anew (product of
        expectations; Malinin & Gales, 2021, section 3).
        """
        return torch.where(self.mask, _log_mean(self.log_probs), 0)

    @property
    def token_spread(self) -> Tensor:
        """The standard deviation over the samples of each token's log-probability."""
        return self.log_probs.std(0, correction=0)

    @property
    def perplexity(self) -> Tensor:
        """The exponential of the negative log-likelihood of each text, divided by its tokens."""
        return (-self.log_likelihood / self.mask.sum(-1)).exp()


def likelihood(
    model: nn.Module,
    batch: Mapping[str, Any],
    samples: int = 50,
    *,
    plan: Plan | None = None,
    seed: int = 0,
    memory: int | None = None,
    draws: Draws = "stratified",
    rows: RowAxes | None = None,
    scores: Scores | None = None,
    shift: bool | None = None,
    window: int | None = None,
    carry: Carry | None = None,
) -> Likelihood:
    """How likely given texts are under a model's noise, by token and by text, with the spread.

    >>> import transformers
    >>> _ = torch.manual_seed(0)
    >>> config = transformers.GPT2Config(vocab_size=20, n_embd=16, n_layer=1, n_head=2)
    >>> model = transformers.GPT2LMHeadModel(config)
    >>> found = likelihood(model, {"input_ids": torch.tensor([[5, 3, 8, 2], [1, 2, 9, 4]])}, 8)
    >>> found.log_probs.shape, found.log_likelihood.shape
    (torch.Size([8, 2, 3]), torch.Size([2]))

    Args:
        model: that scores tokens at each place.
        batch: by name. Its `labels` are the tokens, -100 where one does not count; where there are
            none, the `input_ids` of a causal model are, without those that `attention_mask` leaves
            out.
        samples: how many passes.
        plan, seed, memory, draws, rows, scores: as in `predict`.
        shift: whether the scores at a place are of the token at the next place, as in a causal
            model of Hugging Face, which states it; of other models somebody has to.
        window: how many tokens of long texts are read at a time; None for all. Each sample has the
            same masks in every window, and a state of its own.
        carry: what a sample hands from one window to the next, such as a recurrent state: takes
            what the model returned, and returns arguments by name.

    Raises:
        NoiseError: the model has no noise, the batch has no tokens that fit its scores, or nobody
            says whether they are shifted.
    """
    check_sampling("likelihood", model, "auto", memory, plan)
    check_whole("samples", samples, 2, NoiseError)
    check_scores(scores)
    check_windows(window, carry)
    if shift is not None:
        check_bool("shift", shift)
    if not isinstance(batch, Mapping):
        raise NoiseError(f"likelihood takes a batch by name, got {excerpt(batch)}")
    model = unwrapped(model)
    shift = _shift(model) if shift is None else shift
    labels = _labels(batch, shift)
    windows = [arguments(model, part) for part in windows_of(batch, labels.shape[1], window)]
    if shift:
        last = torch.full_like(labels[:, :1], _IGNORED)
        labels = torch.cat([labels[:, 1:], last], 1)
    strata = strata_of(draws, samples)
    found: list[Tensor] = []
    with sampling(model, windows[0], plan, seed, rows) as sampler:
        sampler.heads, sampler.strata = (Head(places=(scores,)),), strata
        way = probe(sampler, "auto", replay=False)
        budget = budget_of(model) if memory is None else memory
        copies = way.copies(sampler.layout.argument_rows(windows[0]), budget)
        for numbers in chunks_of(range(samples), copies):
            found += _scored(sampler, windows, labels, numbers, carry)
    log_probs = torch.stack(found)
    if shift:
        log_probs, labels = log_probs[..., :-1], labels[:, :-1]
    return Likelihood(log_probs=log_probs, mask=labels != _IGNORED)


def _scored(
    sampler: Sampler,
    windows: Sequence[Arguments],
    labels: Tensor,
    numbers: tuple[int, ...],
    carry: Carry | None,
) -> list[Tensor]:
    """The log-probabilities of the tokens under each of some samples."""
    parts: list[list[Tensor]] = [[] for _ in numbers]
    state: Mapping[str, Any] = {}
    start = 0
    for inputs in windows:
        run = sampler.plan(inputs, numbers)
        output = sampler.output(run, state)
        state = {} if carry is None else dict(carry(output))
        scores = [sampler.parts(view)[0] for view in run.finish(output).outputs]
        width = scores[0].shape[1] if len(windows) > 1 else labels.shape[1]
        of_window = labels[:, start : start + width]
        for part, logits in zip(parts, scores, strict=True):
            part.append(_log_probs(logits, of_window))
        start += width
    return [torch.cat(part, 1) for part in parts]


def _shift(model: nn.Module) -> bool:
    try:
        return problem_of(model) == "causal"
    except ObjectiveError:
        raise NoiseError(
            f"the class {type(model).__name__} does not say which token its scores at a place are "
            "of\n  say it: likelihood(..., shift=True) for the token at the next place, "
            "shift=False for that at the same place"
        ) from None


def _labels(batch: Mapping[str, Any], shift: bool) -> Tensor:
    labels = batch.get("labels")
    # Scores at the same place are of other tokens, or of tokens that the model was shown.
    if labels is None and shift:
        labels = batch.get("input_ids")
        mask = batch.get("attention_mask")
        if isinstance(labels, Tensor) and isinstance(mask, Tensor) and mask.shape == labels.shape:
            labels = torch.where(mask.bool(), labels, _IGNORED)
    if not isinstance(labels, Tensor) or labels.ndim != 2 or labels.is_floating_point():
        raise NoiseError(
            "likelihood takes the tokens of texts, [batch, time], as labels, or as input_ids of a "
            f"causal model; the batch has: {', '.join(map(str, batch))}"
        )
    return labels


def _log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    if logits.ndim != 3 or logits.shape[:2] != labels.shape:
        raise NoiseError(
            f"scores of shape {tuple(logits.shape)} do not fit tokens of shape "
            f"{tuple(labels.shape)}: they are [batch, time, token]"
        )
    wide = logits if logits.dtype == torch.float64 else logits.float()
    tokens = labels.clamp(min=0).unsqueeze(-1)
    of_tokens = wide.log_softmax(-1).gather(-1, tokens).squeeze(-1)
    return torch.where(labels != _IGNORED, of_tokens, 0)


def _log_mean(log_values: Tensor) -> Tensor:
    return log_values.logsumexp(0) - math.log(len(log_values))
