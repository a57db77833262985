"""Consistency from scores that are given; only the scores are kept for backward."""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels import triton_available
from dropsmith.kernels.double_backward import reference_gradients
from dropsmith.kernels.fused_linear_consistency.classes import Classes
from dropsmith.kernels.fused_linear_consistency.closed_form import Parts, parts_of
from dropsmith.kernels.fused_linear_consistency.reference import (
    consistency_from_scores as by_definition,
)
from dropsmith.kernels.fused_linear_consistency.settings import HeadSettings, HeadSums, Mix, Triton
from dropsmith.kernels.fused_linear_consistency.triton import supports, triton_parts


def consistency_from_scores(scores: Tensor, labels: Tensor, settings: HeadSettings) -> HeadSums:
    """See `dropsmith.kernels.fused_linear_consistency.consistency_from_scores`."""
    rows = (labels != settings.ignore_index).nonzero().squeeze(-1)
    task, consistency = _Scores.apply(scores, labels, rows, settings)  # pyright: ignore
    return HeadSums(task, consistency, len(rows))


def _chunk(
    scores: Tensor, labels: Tensor, rows: Tensor, settings: HeadSettings, mix: Mix, with_grads: bool
) -> Parts:
    """The parts of some rows; the gradient is by the scores before the cap."""
    chunk, slope = scores[:, rows], None
    classes = Classes.of_scores(chunk)
    if _runs_triton(chunk, settings) and classes.missing is None:
        arguments = settings, mix, classes, with_grads, Triton()
        return triton_parts(chunk, labels[rows], *arguments)
    chunk = chunk.to(torch.promote_types(scores.dtype, torch.float32))
    if settings.cap is not None:
        tanh = chunk.div_(settings.cap).tanh_()
        slope = 1 - tanh * tanh
        chunk = tanh.mul_(settings.cap)
        if classes.missing is not None:
            chunk.masked_fill_(classes.missing, -torch.inf)
    parts = parts_of(chunk, labels[rows], settings, mix, classes, with_grads)
    if slope is not None and parts.grads is not None:
        parts.grads.mul_(slope)
    return parts


def _runs_triton(scores: Tensor, settings: HeadSettings) -> bool:
    return scores.is_cuda and supports(scores, settings) and triton_available()


def _chunk_size(scores: Tensor, settings: HeadSettings) -> int:
    items = Triton().items if _runs_triton(scores, settings) else settings.items
    return max(1, items // len(scores))


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, labels: Tensor, rows: Tensor, settings: HeadSettings
    ) -> tuple[Tensor, Tensor]:
        views = len(scores)
        mix = Mix((0.0,) * views, 0.0)
        wide = torch.promote_types(scores.dtype, torch.float32)
        task, consistency = scores.new_zeros(views, dtype=wide), scores.new_zeros((), dtype=wide)
        for rows_of_chunk in rows.split(_chunk_size(scores, settings)):
            parts = _chunk(scores, labels, rows_of_chunk, settings, mix, False)
            task += parts.task
            consistency += parts.consistency
        ctx.save_for_backward(scores, labels, rows)
        ctx.settings = settings
        return task, consistency

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore
        scores, labels, rows = ctx.saved_tensors
        if torch.is_grad_enabled():

            def reference(scores: Tensor) -> tuple[Tensor, Tensor]:
                return by_definition(scores, labels, ctx.settings)[:2]

            return (*reference_gradients(reference, (scores,), (True,), upstream), None, None, None)
        mix = Mix(tuple(upstream[0].tolist()), float(upstream[1]))
        grads = torch.zeros_like(scores)
        for rows_of_chunk in rows.split(_chunk_size(scores, ctx.settings)):
            parts = _chunk(scores, labels, rows_of_chunk, ctx.settings, mix, True)
            assert parts.grads is not None
            grads[:, rows_of_chunk] = parts.grads.to(grads.dtype)
        return grads, None, None, None
