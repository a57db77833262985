"""Loss and gradient of some items' scores in one launch of a Triton kernel; see `Triton`."""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import KernelError, MissingExtra
from dropsmith.kernels.fused_linear_consistency.classes import Classes
from dropsmith.kernels.fused_linear_consistency.closed_form import Parts
from dropsmith.kernels.fused_linear_consistency.settings import HeadSettings, Mix, Triton


def triton_parts(
    scores: Tensor,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
    classes: Classes,
    with_grads: bool,
    kernel: Triton,
) -> Parts:
    """`parts_of` of uncapped scores of any type but float64.

    Sums are in float32; the gradient overwrites the scores, in their type.
    """
    from dropsmith.kernels.fused_linear_consistency.triton_rows import loss_rows

    views, items, count = scores.shape
    two, remaining = views == 2, count
    if classes.missing is not None:
        remaining = count - int(classes.missing.sum())
    sums = scores.new_zeros(3, items, dtype=torch.float32)
    weights = (mix.task[0], mix.task[1] if two else 0.0, mix.consistency)
    launch: Any = loss_rows[(-(-items // kernel.rows),)]
    # Triton launches on the current device, which may not be that of the tensors.
    with torch.cuda.device_of(scores):
        if items:
            launch(
                scores,
                labels,
                sums,
                items,
                count,
                float(remaining),
                *weights,
                settings.smoothing,
                settings.cap or 1.0,
                two=two,
                squared=settings.distance == "squared",
                has_cap=settings.cap is not None,
                with_grads=with_grads,
                tile_rows=kernel.rows,
                tile_classes=kernel.classes,
                num_warps=kernel.warps,
            )
    task, consistency = sums[:views].sum(-1), sums[2].sum()
    return Parts(task, consistency, scores if with_grads else None)


def supports(hidden: Tensor, settings: HeadSettings) -> bool:
    """Say whether the kernel has this distance for this number of views and this type."""
    return _supports_distance(hidden, settings) and hidden.dtype != torch.float64


def _supports_distance(hidden: Tensor, settings: HeadSettings) -> bool:
    return len(hidden) <= 2 and settings.distance != "jensen_shannon"


def check_runs(hidden: Tensor, settings: HeadSettings) -> None:
    """Raise `KernelError` or `MissingExtra` where the kernel cannot run."""
    if find_spec("triton") is None:
        raise MissingExtra("the head's Triton kernel", "triton", "triton")
    if not _supports_distance(hidden, settings):
        raise KernelError(
            f"the head's Triton kernel has no {settings.distance} of {len(hidden)} views\n"
            "  it supports symmetric_kl and squared of one or two views; for others use kernel=None"
        )
    if hidden.dtype == torch.float64:
        raise KernelError(
            "the head's Triton kernel does not support float64\n  it supports float32, bfloat16 "
            "and float16; for other types use kernel=None"
        )
    if not hidden.is_cuda and not _uses_interpreter():
        raise KernelError(
            f"the head's Triton kernel runs on a GPU, but the tensors are on {hidden.device}\n"
            "  move the tensors to a GPU, or use kernel=None"
        )


def _uses_interpreter() -> bool:
    """Say whether Triton's interpreter is on, which runs kernels on the CPU."""
    import triton

    from dropsmith.kernels.fused_linear_consistency.triton_rows import loss_rows

    return not isinstance(loss_rows, triton.JITFunction)
