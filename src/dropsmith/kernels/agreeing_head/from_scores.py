"""The same sums from scores that are there already; nothing is kept for backward but the scores."""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_head.classes import Classes
from dropsmith.kernels.agreeing_head.closed_form import Parts, parts_of
from dropsmith.kernels.agreeing_head.reference import agreeing_scores as by_definition
from dropsmith.kernels.agreeing_head.settings import HeadSettings, HeadSums, Mix
from dropsmith.kernels.agreeing_head.triton import has, parts_by_triton
from dropsmith.kernels.agreeing_head.triton_settings import Triton
from dropsmith.kernels.by_triton import there
from dropsmith.kernels.double_backward import reference_gradients


def agreeing_scores(scores: Tensor, labels: Tensor, settings: HeadSettings) -> HeadSums:
    """See `dropsmith.kernels.agreeing_head.agreeing_scores`."""
    rows = (labels != settings.ignore_index).nonzero().squeeze(-1)
    task, agreement = _Scores.apply(scores, labels, rows, settings)  # pyright: ignore
    return HeadSums(task, agreement, len(rows))


def _some(
    scores: Tensor, labels: Tensor, rows: Tensor, settings: HeadSettings, mix: Mix, graded: bool
) -> Parts:
    """Of some rows; the gradient is that by the scores as they were given."""
    given, slope = scores[:, rows], None
    classes = Classes.of_scores(given)
    if _by_triton(given, settings) and classes.gone is None:
        own = settings, mix, classes, graded, Triton()
        return parts_by_triton(given, labels[rows], *own)
    given = given.to(torch.promote_types(scores.dtype, torch.float32))
    if settings.cap is not None:
        squeezed = given.div_(settings.cap).tanh_()
        slope = 1 - squeezed * squeezed
        given = squeezed.mul_(settings.cap)
        if classes.gone is not None:
            given.masked_fill_(classes.gone, -torch.inf)
    parts = parts_of(given, labels[rows], settings, mix, classes, graded)
    if slope is not None and parts.grads is not None:
        parts.grads.mul_(slope)
    return parts


def _by_triton(scores: Tensor, settings: HeadSettings) -> bool:
    return scores.is_cuda and has(scores, settings) and there()


def _at_a_time(scores: Tensor, settings: HeadSettings) -> int:
    items = Triton().items if _by_triton(scores, settings) else settings.items
    return max(1, items // len(scores))


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, labels: Tensor, rows: Tensor, settings: HeadSettings
    ) -> tuple[Tensor, Tensor]:
        views = len(scores)
        mix = Mix((0.0,) * views, 0.0)
        wide = torch.promote_types(scores.dtype, torch.float32)
        task, agreement = scores.new_zeros(views, dtype=wide), scores.new_zeros((), dtype=wide)
        for some in rows.split(_at_a_time(scores, settings)):
            parts = _some(scores, labels, some, settings, mix, False)
            task += parts.task
            agreement += parts.agreement
        ctx.save_for_backward(scores, labels, rows)
        ctx.settings = settings
        return task, agreement

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:  # pyright: ignore
        scores, labels, rows = ctx.saved_tensors
        if torch.is_grad_enabled():

            def reference(scores: Tensor) -> tuple[Tensor, Tensor]:
                return by_definition(scores, labels, ctx.settings)[:2]

            return (*reference_gradients(reference, (scores,), (True,), given), None, None, None)
        mix = Mix(tuple(given[0].tolist()), float(given[1]))
        grads = torch.zeros_like(scores)
        for some in rows.split(_at_a_time(scores, ctx.settings)):
            parts = _some(scores, labels, some, ctx.settings, mix, True)
            assert parts.grads is not None
            grads[:, some] = parts.grads.to(grads.dtype)
        return grads, None, None, None
