"""A recurrence over time as one loop of an exported graph, which then takes any number of steps."""

from collections.abc import Callable

import torch
from torch import Tensor

from dropsmith.kernels.state_noise import StateNoise
from dropsmith.portable import loops_are_closed

Step = Callable[[tuple[Tensor, ...], Tensor, StateNoise, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""Takes states, a step's scores, its masks and the weights to the states after the step."""


def scan(
    step: Step,
    states: tuple[Tensor, ...],
    scores: Tensor,
    noise: StateNoise,
    weights: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The first state after each step, `[time, ...]`, and all states after the last.

    Args:
        step: one step.
        states: before the first step, all of one size.
        scores: of all steps, `[time, ...]`.
        noise: masks, `[time or 1, ...]`.
        weights: what is the same for all steps.
    """
    # The public function compiles its body, which cannot follow sizes that a graph leaves open.
    from torch._higher_order_ops.scan import scan_op

    masks = [name for name, mask in vars(noise).items() if mask is not None]
    moving = [name for name in masks if getattr(noise, name).shape[0] != 1]
    held = [name for name in masks if name not in moving]
    constants = [*(getattr(noise, name)[0] for name in held), *weights]
    inputs = [scores, *(getattr(noise, name) for name in moving)]
    # Some runtimes know no loop that reads what is outside of it: there all goes round.
    carried = [constant.clone() for constant in constants] if loops_are_closed() else []

    def advance(before: Tensor, *values: Tensor) -> list[Tensor]:
        rest, values = values[: len(carried)], values[len(carried) :]
        score, *own = values[: len(inputs)]
        fixed = rest or values[len(inputs) :]
        step_masks = dict(zip([*moving, *held], [*own, *fixed[: len(held)]], strict=True))
        after = step(before.unbind(), score, StateNoise(**step_masks), fixed[len(held) :])
        # What goes round unchanged, or out as well, has to be another tensor.
        return [torch.stack(after), *(value.clone() for value in rest), after[0].clone()]

    start = [torch.stack(states), *carried]
    last, *_, outputs = scan_op(advance, start, inputs, () if carried else tuple(constants))
    return outputs, last.unbind()
