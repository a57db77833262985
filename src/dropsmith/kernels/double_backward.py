"""Second derivatives of kernels, by the graph of their references.

A kernel's backward overwrites buffers and leaves no graph, so it serves where no derivative of its
result can be asked for. Under `create_graph=True`, which torch shows by enabling gradients during
backward, the reference is differentiated instead: slower, with its larger buffers, and right to
any order. An error raised there would not do: `torch.autograd.grad` runs only those nodes that lead
to its inputs, and so would pass over a node that leads nowhere.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import KernelError

Activation = Callable[[str, Tensor, int, slice], Tensor]
"""Takes the name of a nonlinearity, scores, their time step and their gates to activations."""


def reference_gradients(
    reference: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor | None],
    needs: Sequence[bool],
    grads: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """The gradients of a kernel's inputs; None for those that need none.

    They have a graph where backward makes one.

    Args:
        reference: takes the inputs to the outputs that have gradients.
        inputs: the kernel's, as saved for backward: with their place in the graph.
        needs: which of the inputs need a gradient.
        grads: the gradients of the outputs.
    """
    graph, pairs = torch.is_grad_enabled(), list(zip(inputs, needs, strict=True))
    # As views, so that of inputs made of one another none takes the other's gradient too.
    views = [x.view_as(x) if need and x is not None else x for x, need in pairs]
    if not graph:
        views = [x if x is None else x.detach().requires_grad_(n) for x, n in pairs]
    with torch.enable_grad(), torch.autocast(grads[0].device.type, enabled=False):
        outputs = reference(*views)
        wide = [grad.to(x.dtype) for grad, x in zip(grads, outputs, strict=True)]
    leaves = [x for x, need in zip(views, needs, strict=True) if x is not None and need]
    gradients = iter(
        torch.autograd.grad(outputs, leaves, wide, create_graph=graph, materialize_grads=True)
    )
    return tuple(next(gradients) if need else None for need in needs)


def refuse_gradients(operation: str, instead: str, *tensors: Tensor) -> None:
    """Raise `KernelError` where a graph would be made through an operation that has no gradient."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise KernelError(
            f"{operation} has no gradient, and was given a tensor that requires one\n"
            f"  use {instead}, or detach the tensor"
        )


def outline(x: Tensor) -> Tensor:
    """Zeros of the sizes of `x`, in its place in the graph; they take no memory.

    A kernel that need not hold the numbers of an input makes its outline in forward.

    >>> x = torch.ones(2, requires_grad=True)
    >>> outline(x)
    tensor([0., 0.], grad_fn=<_OutlineBackward>)
    """
    with torch.enable_grad():
        return _Outline.apply(x)  # pyright: ignore[reportReturnType]


class _Outline(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.new_zeros(()).expand(x.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def compute_activation(name: str, scores: Tensor, step: int, gates: slice) -> Tensor:
    """The `Activation` that computes: `sigmoid`, `tanh` or `relu` of the scores."""
    return getattr(torch, name)(scores)


def look_up_activation(activations: Tensor) -> Activation:
    """The `Activation` that looks values up, whatever the scores, and differentiates as they would.

    Args:
        activations: of all steps, `[time, batch, gate, unit]`.
    """
    return lambda name, scores, step, gates: _ActivationLookup.apply(  # pyright: ignore[reportReturnType]
        scores, activations[step, :, gates], name
    )


def replay_gradients(
    loop: Callable[..., Sequence[Tensor]],
    activations: Tensor,
    inputs: Sequence[Tensor],
    needs: Sequence[bool],
    grads: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """`reference_gradients` of a recurrence of which the activations are known, not the gates.

    Args:
        loop: takes the inputs and an `Activation` to the states that have gradients.
        activations: of all steps, `[time, batch, gate, unit]`.
        inputs: the gates' outline and what else the kernel was given.
        needs, grads: as there.
    """

    def reference(*inputs_of_loop: Tensor) -> Sequence[Tensor]:
        return loop(
            *(x.to(activations.dtype) for x in inputs_of_loop),
            activation=look_up_activation(activations),
        )

    return reference_gradients(reference, inputs, needs, grads)


class _ActivationLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, values: Tensor, name: str) -> Tensor:
        activations = values.clone()
        ctx.save_for_backward(activations)
        ctx.slope = _SLOPES[name]
        return activations

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (activations,) = ctx.saved_tensors
        return grads[0] * ctx.slope(activations), None, None


_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a > 0).to(a.dtype),
}
