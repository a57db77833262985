"""Backward passes whose own gradient nobody wrote, and that say so when it is asked for."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Backward = Callable[..., Any]


def once(backward: Backward) -> Backward:
    """A function's backward that computes with plain tensors; its results have no gradient.

    A gradient of them (a penalty on gradients, a Hessian) is torch's error, as under
    `once_differentiable`. Torch's own keeps silent where the gradient handed in is a constant, such
    as that of a sum: what was saved is then taken for one as well, and the answer is wrong.
    """
    guarded: Backward = once_differentiable(backward)

    @wraps(backward)
    def run(ctx: Any, *given: Any) -> Any:
        if torch.is_grad_enabled():  # a graph of the backward pass is being made
            given = tuple(map(_followed, given))
        return guarded(ctx, *given)

    return run


def _followed(gradient: Any) -> Any:
    if isinstance(gradient, Tensor) and not gradient.requires_grad:
        return gradient.detach().requires_grad_()
    return gradient
