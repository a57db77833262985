"""Cross-entropy and symmetric KL of two views' small scores in one autograd function.

For small scores the time goes into Python and the launch of operations, not into arithmetic. So
there are few operations, and intermediate results are stored for backward.
"""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import reference_gradients

LARGEST = 1 << 16
"""Bytes of one view's scores, at most."""


def takes(scores: Tensor) -> bool:
    """Say whether one view's scores are small, on a CPU and in full precision."""
    return (
        type(scores) is Tensor
        and scores.device.type == "cpu"
        and scores.dtype in (torch.float32, torch.float64)
        and scores.nbytes <= LARGEST
    )


def two_view_sums(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of both views' cross-entropy, and of ½ Σ (p − q)(log p − log q) over items.

    >>> task, divergence = two_view_sums(torch.zeros(2, 3, 2), torch.tensor([0, 1, 0]))
    >>> round(float(task), 4), float(divergence)
    (4.1589, 0.0)

    Args:
        scores: of two views, `[2, items, classes]`, finite.
        labels: the class of each item, `[items]`, of which none is ignored.
    """
    return _TwoViews.apply(scores, labels)  # pyright: ignore[reportReturnType]


def reference(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, in differentiable operations."""
    log_p = scores.log_softmax(-1)
    task = -log_p.gather(-1, labels.expand(2, -1).unsqueeze(-1)).sum()
    p = log_p.exp()
    return task, ((p[0] - p[1]) * (log_p[0] - log_p[1])).sum() / 2


class _TwoViews(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        log_p = scores.log_softmax(-1)
        p = log_p.exp()
        # Those of the second view are those of the first with the opposite sign.
        gap, ratio = p - p.flip(0), log_p - log_p.flip(0)
        targets = labels.expand(2, -1).unsqueeze(-1)
        task = log_p.gather(-1, targets).sum().neg_()
        divergence = torch.dot(gap.view(-1), ratio.view(-1)).clamp_(min=0).div_(4)
        ctx.save_for_backward(scores, labels, p, gap, ratio, targets)
        return task, divergence

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        scores, labels, p, gap, ratio, targets = ctx.saved_tensors
        if torch.is_grad_enabled():

            def by_definition(scores: Tensor) -> tuple[Tensor, Tensor]:
                return reference(scores, labels)

            return (*reference_gradients(by_definition, (scores,), (True,), grads), None)
        weight, half = grads[0].item(), grads[1].item() / 2
        # By the scores of p: ½ [p (d − Σ p d) + p − q], with d = log p − log q.
        products = p * ratio
        means = products.sum(-1, keepdim=True)
        gradient = products.addcmul_(p, means, value=-1).add_(gap).mul_(half).add_(p, alpha=weight)
        gradient.scatter_add_(-1, targets, p.new_full((), -weight).expand(targets.shape))
        return gradient, None
