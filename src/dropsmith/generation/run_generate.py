"""Sequences that a model of transformers writes under noise, one mask for each sequence."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, arguments
from dropsmith.errors import NoiseError, excerpt
from dropsmith.generation.options import GenerateOptions, generator_of, read_options
from dropsmith.generation.sequences import Generation, join_samples
from dropsmith.generation.steps import run_steps
from dropsmith.noise import GrowthTrace, HeldMasks, RowAxes
from dropsmith.numbers import check_whole
from dropsmith.passes import Mode
from dropsmith.patterns import TorchDropout
from dropsmith.plans import Plan
from dropsmith.prediction import (
    Draws,
    Sampler,
    budget_of,
    check_sampling,
    chunks_of,
    probe,
    sampling,
    strata_of,
    unwrapped,
)

_TRIAL = {
    "max_new_tokens": 3,
    "min_new_tokens": 3,
    "use_cache": False,
    "do_sample": False,
}
"""Three steps, each over all places, which show the sites that grow with the sequence."""


def generate(
    model: nn.Module,
    batch: Any,
    samples: int = 10,
    *,
    max_new_tokens: int = 32,
    plan: Plan | None = None,
    seed: int = 0,
    memory: int | None = None,
    mode: Mode = "auto",
    draws: Draws = "stratified",
    rows: RowAxes | None = None,
    **options: Any,
) -> Generation:
    """Write sequences under a model's noise: of each prompt one for each sample.

    A sample's mask is drawn once and held over all places of its sequence: units that a pattern
    shares over time are dropped at every place, and others by a mask that has all places (Gal &
    Ghahramani, 2016, section 4; for translation Xiao, Gomez & Gal, 2020). So sequences are the
    same with a cache and without. Everything else is transformers' own `generate`, with the
    options of `model.generation_config` where none are given here: greedy search or sampling.

    Noise is the model's own dropout, and the installed plan's or that of `plan`, in eval mode as
    in `predict`. Masks follow `seed`, the sample's number and the lengths of prompt and sequence.

    >>> import transformers
    >>> _ = torch.manual_seed(0)
    >>> config = transformers.GPT2Config(vocab_size=20, n_embd=16, n_layer=1, n_head=2)
    >>> model = transformers.GPT2LMHeadModel(config)
    >>> written = generate(model, torch.tensor([[5, 3, 8], [1, 2, 9]]), 4, max_new_tokens=6)
    >>> written.tokens.shape, written.sequence_log_probs.shape
    (torch.Size([4, 2, 6]), torch.Size([4, 2]))

    Args:
        model: of transformers, causal or with an encoder; adapters of PEFT may be on it.
        batch: the prompts: token ids, or a mapping as a tokenizer makes it, padded on the left for
            causal models.
        samples: how many sequences each prompt gets.
        max_new_tokens: the most tokens that a sequence gets.
        plan, seed, draws, rows: as in `predict`.
        memory: bytes that stacked samples may take.
        mode: `stacked`, `looped`, or `auto`. Where tokens are sampled, samples are looped: torch
            draws the tokens, by a seed of each sample.
        options: of transformers, such as `do_sample=True`, `temperature=0.7`, `use_cache=False`.

    Raises:
        NoiseError: the model writes no sequences, has no noise, or has noise that cannot be held
            over the places (torch's own draw, layers that run at some places only); or an option
            would weigh sequences of several masks against each other (beam search).
        ViewError: samples are to be stacked and cannot be.
    """
    check_sampling("generate", model, mode, memory, plan)
    check_whole("samples", samples, 1, NoiseError)
    check_whole("max_new_tokens", max_new_tokens, 1, NoiseError)
    strata = strata_of(draws, samples)
    model = unwrapped(model)
    generator = generator_of(model)
    chosen = read_options(generator, options)
    inputs = _inputs(model, batch)
    forward_inputs = _forward_inputs(generator, inputs, chosen)
    with sampling(model, forward_inputs, plan, seed, rows) as sampler:
        sampler.strata = strata
        way = probe(sampler, mode, replay=False)
        trace = _trial(sampler, generator, inputs, chosen)
        growth = trace.growth()
        copies = 1
        if way.stack and not (chosen.sampled and mode == "auto"):
            budget = budget_of(model) if memory is None else memory
            row = way.row_bytes + trace.mask_bytes(max_new_tokens) / trace_rows(sampler)
            copies = max(int(budget / (row * sampler.layout.argument_rows(inputs))), 1)
        parts = [
            run_steps(
                sampler,
                generator,
                inputs,
                numbers,
                HeldMasks(growth, max_new_tokens + 1),
                chosen,
                max_new_tokens=max_new_tokens,
            )
            for numbers in chunks_of(range(samples), copies)
        ]
    return join_samples(parts, chosen.pad)


def trace_rows(sampler: Sampler) -> int:
    """The rows of the few that a sampler tries."""
    return sampler.layout.argument_rows(sampler.probe_inputs)


def _inputs(model: nn.Module, batch: Any) -> Arguments:
    """The arguments of `generate`, by name."""
    if isinstance(batch, Tensor):
        batch = {"input_ids": batch}
    if not isinstance(batch, Mapping):
        raise NoiseError(
            f"generate takes token ids or a mapping of a tokenizer, got {excerpt(batch)}"
        )
    kwargs = arguments(model, dict(batch)).kwargs
    return Arguments((), {name: value for name, value in kwargs.items() if name != "labels"})


def _forward_inputs(generator: nn.Module, inputs: Arguments, options: GenerateOptions) -> Arguments:
    """The arguments of the model's forward: with a decoder, from the token that it starts from."""
    config: Any = generator.config
    if not getattr(config, "is_encoder_decoder", False) or "decoder_input_ids" in inputs.kwargs:
        return inputs
    first = next(value for value in inputs.kwargs.values() if isinstance(value, Tensor))
    start = torch.full((len(first), 1), options.start or 0, device=first.device)
    return Arguments((), {**inputs.kwargs, "decoder_input_ids": start})


def _trial(
    sampler: Sampler, generator: nn.Module, inputs: Arguments, options: GenerateOptions
) -> GrowthTrace:
    """Generate some tokens for a few rows, and note the sizes at every site."""
    kwargs = sampler.probe_inputs.kwargs
    few = Arguments((), {name: kwargs[name] for name in inputs.kwargs})
    trace = GrowthTrace()
    plain = GenerateOptions(
        values={n: v for n, v in options.values.items() if n in ("eos_token_id", "pad_token_id")},
        sampled=False,
        eos=options.eos,
        pad=options.pad,
        start=options.start,
    )
    run_steps(sampler, generator, few, (0,), trace, plain, **_TRIAL)
    if sampler.torch_drew:
        names = [
            a.site.name
            for a in sampler.installation.assignments
            if isinstance(a.pattern, TorchDropout) and a.pattern.rate
        ]
        raise NoiseError(
            f"torch draws the noise of {', '.join(names[:3]) or 'this model'} itself, anew at each "
            "step, so no mask of it can be held over a sequence\n"
            "  draw it here instead: rule('<site>', Bernoulli(rate=...)), or leave it out: Off()"
        )
    return trace
