"""One call of `generate` as a pass of several steps, each with the noise of the same masks."""

from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, copy_tensors
from dropsmith.generation.options import GenerateOptions
from dropsmith.generation.sequences import Generation
from dropsmith.noise import ForwardPass, GrowthTrace, HeldMasks
from dropsmith.passes import ViewRequest
from dropsmith.prediction import Sampler


class Steps:
    """Hooks on the model that generates: a step begins, and the scores of its last place are read.

    Args:
        forward_pass: the pass of all steps.
        held: the source of its masks.
    """

    def __init__(self, forward_pass: ForwardPass, held: GrowthTrace | HeldMasks) -> None:
        self.forward_pass, self.held = forward_pass, held
        forward_pass.held = held
        self.calls: dict[str, int] | None = None
        self.scores = torch.zeros(())
        self.log_probs: list[Tensor] = []

    def begin(self, module: nn.Module, args: Any) -> None:
        """Begin a step, before the forward of the model."""
        if self.calls is None:
            # What ran before, such as an encoder, has drawn already.
            self.calls = dict(self.forward_pass.calls)
        self.forward_pass.begin_step(self.calls)
        self.held.begin_step()

    def end(self, module: nn.Module, args: Any, output: Any) -> None:
        """Read the scores of the next token."""
        scores = output.logits[:, -1].detach()
        self.scores = scores if scores.dtype == torch.float64 else scores.float()

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """Read the token that was chosen: a criterion of transformers that never stops."""
        token = input_ids[:, -1:].to(self.scores.device)
        self.log_probs.append(self.scores.log_softmax(-1).gather(-1, token).squeeze(-1))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def run_steps(
    sampler: Sampler,
    generator: nn.Module,
    inputs: Arguments,
    numbers: tuple[int, ...],
    held: GrowthTrace | HeldMasks,
    options: GenerateOptions,
    **more: Any,
) -> Generation:
    """Generate under the masks of some samples, stacked in one batch.

    Args:
        sampler: of the model.
        generator: the model whose forward is called at each step.
        inputs: of `generate`, for one sample.
        numbers: of the samples.
        held: the source of masks.
        options: of the call.
        more: options that take the place of others.
    """
    request = ViewRequest(
        views=len(numbers),
        first_view=numbers[0],
        sampling_step=sampler.step,
        strata=sampler.strata,
    )
    count, rows = len(numbers), sampler.layout.argument_rows(inputs)
    steps = Steps(request.forward_pass(range(count), count * rows if count > 1 else None), held)
    stacked = sampler.layout.combine([inputs] * count) if count > 1 else copy_tensors(inputs)
    handles = [
        generator.register_forward_pre_hook(steps.begin, prepend=True),
        generator.register_forward_hook(steps.end),
    ]
    sampler.start(numbers[0])
    try:
        with sampler.noise.passing(steps.forward_pass), torch.no_grad():
            output: Any = sampler.model.generate(  # pyright: ignore[reportCallIssue]
                **stacked.kwargs,
                **{**options.values, **more},
                return_dict_in_generate=True,
                stopping_criteria=[steps],
            )
    finally:
        for handle in handles:
            handle.remove()
    return _generation(output.sequences, steps.log_probs, options, count)


def _generation(
    sequences: Tensor, log_probs: list[Tensor], options: GenerateOptions, samples: int
) -> Generation:
    prompt_and_tokens, scores = sequences, torch.stack(log_probs, -1)
    # On a GPU, transformers may have run some steps beyond the end, and taken them back.
    length = min(scores.shape[-1], prompt_and_tokens.shape[-1])
    tokens, scores = prompt_and_tokens[:, -length:], scores[:, :length]
    ends = torch.zeros_like(tokens, dtype=torch.bool)
    for token in options.eos:
        ends |= tokens == token
    # A token counts where none before it has ended the sequence.
    mask = ends.long().cumsum(-1) - ends.long() == 0
    return Generation(
        tokens=tokens.unflatten(0, (samples, -1)),
        log_probs=torch.where(mask, scores.to(mask.device), 0).unflatten(0, (samples, -1)),
        mask=mask.unflatten(0, (samples, -1)),
    )
