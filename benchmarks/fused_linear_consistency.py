"""From hidden states to cross-entropy and symmetric KL of two views, forward and backward.

What is asked on a CPU at 2 048 rows (two views of 1 024 items), 32 000 classes and 512 units: at
most 0.9 of the time of plain linear + cross-entropy on the same rows, which has no consistency at
all; 3.5 times faster than the published form; and a quarter of its extra memory. The published
form is that of the paper's authors: scores of both views in one buffer, and two softmaxes, two
log-softmaxes and two calls of `kl_div` over its halves.

On a GPU, 8,192 rows, 128,256 classes and 4,096 units in bfloat16 should take less than 4 GB beyond
what is there, and at 1,024 rows no more time than the published form. Ours is Triton's kernel
there. liger-kernel stands beside it where it is installed: its fused cross-entropy, and its fused
Jensen-Shannon divergence once for each view, since it moves only the first of two.
"""

from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import Tensor

from dropsmith.kernels.fused_linear_consistency import (
    HeadSettings,
    Mix,
    consistency_from_scores,
    fused_linear_consistency,
)

WEIGHT = 2.5
"""Of the consistency: alpha 5."""

Way = Callable[[Tensor, Tensor, Tensor], Tensor]


def plain(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy alone, of scores that are all there."""
    return F.cross_entropy(F.linear(hidden, weight).flatten(0, 1), labels.repeat(2))


def chunked_by_torch(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy alone, by torch's own fused loss."""
    fused = F.linear_cross_entropy  # pyright: ignore[reportAttributeAccessIssue]
    return fused(hidden.flatten(0, 1), weight, labels.repeat(2))


def published(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """The paper's own way."""
    scores = F.linear(hidden, weight)
    p, q = scores.unbind()
    forth = F.kl_div(F.log_softmax(p, -1), F.softmax(q, -1), reduction="none").sum()
    back = F.kl_div(F.log_softmax(q, -1), F.softmax(p, -1), reduction="none").sum()
    task = F.cross_entropy(scores.flatten(0, 1), labels.repeat(2))
    return task + WEIGHT * (forth + back) / 2 / len(labels)


def by_liger(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """That of liger-kernel, whose divergence is another."""
    from liger_kernel import transformers as liger  # pyright: ignore[reportMissingImports]

    p, q = hidden.unbind()
    apart = liger.LigerFusedLinearJSD()
    forth = apart(p, weight, q.detach(), weight.detach(), labels)
    back = apart(q, weight, p.detach(), weight.detach(), labels)
    rows = hidden.flatten(0, 1)
    task = liger.LigerFusedLinearCrossEntropyLoss()(weight, rows, labels.repeat(2))
    return task + WEIGHT * (forth + back) / 2


def fused(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Ours."""
    count = len(labels)
    mix = Mix((0.5 / count,) * 2, WEIGHT / count)
    sums = fused_linear_consistency(hidden, weight, None, labels, HeadSettings(), mix)
    return sums.task.sum() / (2 * count) + WEIGHT * sums.consistency / count


def from_scores(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Ours where something else has made the scores."""
    sums = consistency_from_scores(F.linear(hidden, weight), labels, HeadSettings())
    return sums.task.sum() / (2 * len(labels)) + WEIGHT * sums.consistency / len(labels)


def step(way: Way, hidden: Tensor, weight: Tensor, labels: Tensor) -> Call:
    """One forward and backward."""

    def call() -> None:
        way(hidden, weight, labels).backward()
        hidden.grad = weight.grad = None

    return call


def ways_on(device: torch.device) -> dict[str, Way]:
    """Every way that runs on a device, by name."""
    known: dict[str, Way] = {"linear + cross-entropy": plain}
    if hasattr(F, "linear_cross_entropy"):
        known["F.linear_cross_entropy"] = chunked_by_torch
    known |= {"published": published, "ours": fused, "ours, from scores": from_scores}
    if device.type == "cuda" and find_spec("liger_kernel") is not None:
        known["liger-kernel"] = by_liger
    return known


def comparison(
    rows: int,
    classes: int,
    width: int,
    threads: int = 1,
    dtype: torch.dtype = torch.float32,
    only: str | None = None,
) -> Comparison:
    """Every way on the same hidden states."""

    def ways(device: torch.device) -> dict[str, Call]:
        made = {"device": device, "dtype": dtype}
        hidden = torch.randn(2, rows // 2, width, **made).requires_grad_()
        weight = torch.randn(classes, width, **made).div_(width**0.5).requires_grad_()
        labels = torch.randint(classes, (rows // 2,), device=device)
        return {name: step(way, hidden, weight, labels) for name, way in ways_on(device).items()}

    name = f"{rows:,} rows, {classes:,} classes, {width:,} units"
    asked = {"ours": 0.9} if rows == 2048 else None
    return Comparison(name=name, ways=ways, threads=threads, targets=asked, only=only)


LARGE = {"classes": 128_256, "width": 4_096, "dtype": torch.bfloat16, "only": "cuda"}
CASE = Case(
    name="fused_linear_consistency",
    tests=("tests/kernels/test_fused_linear_consistency.py",),
    comparisons=(
        comparison(2048, 32000, 512, threads=2),
        comparison(700, 10000, 200),
        comparison(1024, **LARGE),
        comparison(8192, **LARGE),
    ),
    rounds=7,
)

if __name__ == "__main__":
    main(CASE)
