"""Cross-entropy and symmetric KL of two views' scores at once, where both are small.

Small scores cost Python and the launch of each operation rather than arithmetic, so what backward
needs is kept (of scores of `LARGEST` bytes at most) and everything is made in few operations.
"""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import reference_gradients

LARGEST = 1 << 16
"""Bytes of one view's scores up to which they are taken here."""


def takes(scores: Tensor) -> bool:
    """Whether one view's scores are small, on a CPU and in full precision."""
    return (
        type(scores) is Tensor
        and scores.device.type == "cpu"
        and scores.dtype in (torch.float32, torch.float64)
        and scores.nbytes <= LARGEST
    )


def two_view_sums(first: Tensor, second: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of both views' cross-entropy, and of ½ Σ (p − q)(log p − log q) over items.

    >>> zeros = torch.zeros(3, 2)
    >>> task, divergence = two_view_sums(zeros, zeros, torch.tensor([0, 1, 0]))
    >>> round(float(task), 4), float(divergence)
    (4.1589, 0.0)

    Args:
        first, second: scores of two views, `[items, classes]`, finite.
        labels: the class of each item, `[items]`, of which none is ignored.
    """
    return _TwoViews.apply(first, second, labels)  # pyright: ignore[reportReturnType]


def reference(first: Tensor, second: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, in differentiable operations."""
    log_p, log_q = first.log_softmax(-1), second.log_softmax(-1)
    task = -(log_p + log_q).gather(-1, labels.unsqueeze(-1)).sum()
    return task, ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum() / 2


class _TwoViews(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        log_p = torch.stack((first, second)).log_softmax(-1)
        p = log_p.exp()
        gap, ratio = p[0] - p[1], log_p[0] - log_p[1]
        targets = labels.expand(2, -1).unsqueeze(-1)
        task = log_p.gather(-1, targets).sum().neg_()
        divergence = torch.dot(gap.view(-1), ratio.view(-1)).clamp_(min=0).div_(2)
        ctx.save_for_backward(first, second, labels, p, gap, ratio, targets)
        return task, divergence

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        first, second, labels, p, gap, ratio, targets = ctx.saved_tensors
        if torch.is_grad_enabled():

            def by_definition(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
                return reference(first, second, labels)

            return (*reference_gradients(by_definition, (first, second), (True, True), grads), None)
        weighed = p * ratio
        means = weighed.sum(-1, keepdim=True)
        half = float(grads[1]) / 2
        # By the scores of p: ½ [p (d − Σ p d) + p − q], with d = log p − log q; by those of q its
        # mirror image.
        weighed -= means * p
        to_first = weighed[0].add_(gap).mul_(half)
        to_second = weighed[1].add_(gap).mul_(-half)
        weight = float(grads[0])
        both = torch.stack((to_first, to_second)).add_(p, alpha=weight)
        both.scatter_add_(-1, targets, both.new_full((1, 1, 1), -weight).expand_as(targets))
        return both[0], both[1], None
