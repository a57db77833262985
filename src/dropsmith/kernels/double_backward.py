"""Second derivatives of kernels, from the graph of their references.

The backward of a kernel overwrites buffers and records no graph, so its result has no derivative.
Under `create_graph=True`, during which torch has gradients enabled in backward, the reference is
differentiated instead: slower, with larger buffers, and correct to any order. Raising an error
would not be enough: `torch.autograd.grad` runs only nodes that lead to its inputs, and would skip
a node that raises without such a path.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import KernelError

Activation = Callable[[str, Tensor, int, slice], Tensor]
"""Computes activations from the name of a nonlinearity, scores, their time step and gates."""

Activate = Callable[[str, Tensor, slice], Tensor]
"""The same for one time step."""


def reference_gradients(
    reference: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor | None],
    needs: Sequence[bool],
    grads: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """The gradients of a kernel's inputs; None for inputs that need none.

    The gradients have a graph if backward records one.

    Args:
        reference: computes the differentiable outputs from the inputs.
        inputs: those of the kernel, as saved for backward, with their place in the graph.
        needs: which of the inputs need a gradient.
        grads: the gradients of the outputs.
    """
    graph, pairs = torch.is_grad_enabled(), list(zip(inputs, needs, strict=True))
    # As views: an input that was computed from another must not receive that one's gradient.
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
    """Raise `KernelError` if a graph would go through an operation without a gradient."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise KernelError(
            f"{operation} has no gradient, and was given a tensor that requires one\n"
            f"  use {instead}, or detach the tensor"
        )


def outline(x: Tensor) -> Tensor:
    """Zeros of the shape of `x`, at its place in the graph, which take no memory.

    A kernel saves the outline of an input whose numbers backward does not need.

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
    """The `Activation` that computes `sigmoid`, `tanh` or `relu` of the scores."""
    return getattr(torch, name)(scores)


def activations_at(activation: Activation, step: int) -> Activate:
    """An `Activation` at one of its time steps."""
    return lambda name, scores, gates: activation(name, scores, step, gates)


def compute(name: str, scores: Tensor, gates: slice) -> Tensor:
    """`compute_activation` at any time step."""
    return compute_activation(name, scores, 0, gates)


def look_up_activation(activations: Tensor) -> Activation:
    """The `Activation` that returns stored values, with the derivative of the nonlinearity.

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
    """`reference_gradients` of a recurrence that stored its activations instead of its gates.

    Args:
        loop: computes the differentiable states from the inputs and an `Activation`.
        activations: of all steps, `[time, batch, gate, unit]`.
        inputs: the outline of the gates and the other inputs of the kernel.
        needs, grads: as in `reference_gradients`.
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
