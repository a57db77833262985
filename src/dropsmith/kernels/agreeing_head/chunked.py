"""Some items at a time, on any device: their gradient is made while their scores are there."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.kernels.agreeing_head.classes import Classes
from dropsmith.kernels.agreeing_head.closed_form import Parts, parts_of
from dropsmith.kernels.agreeing_head.reference import agreeing_head as by_definition
from dropsmith.kernels.agreeing_head.settings import HeadSettings, HeadSums, Mix
from dropsmith.kernels.agreeing_head.triton import check_runs, has, parts_by_triton
from dropsmith.kernels.agreeing_head.triton_settings import Triton
from dropsmith.kernels.agreeing_head.two_views import blockwise, room_for
from dropsmith.kernels.by_triton import there
from dropsmith.kernels.double_backward import reference_gradients

_HALF = 256.0
"""The largest weight while float16 is multiplied: gradients of scores stay far below 65 504."""


def agreeing_head(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
    kernel: Triton | None = None,
) -> HeadSums:
    """See `dropsmith.kernels.agreeing_head.agreeing_head`."""
    if kernel is not None:
        check_runs(hidden, settings)
    elif hidden.is_cuda and has(hidden, settings) and there():
        kernel = Triton()
    rows = (labels != settings.ignore_index).nonzero().squeeze(-1)
    how = settings, mix, kernel
    task, agreement = _Head.apply(hidden, weight, bias, labels, rows, how)  # pyright: ignore
    return HeadSums(task, agreement, len(rows))


@dataclass(frozen=True)
class _Work:
    """One pass over all items that count."""

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None
    labels: Tensor
    rows: Tensor
    settings: HeadSettings
    kernel: Triton | None

    def run(self, mix: Mix, wanted: tuple[bool, bool, bool]) -> tuple[Tensor, Tensor, "_Grads"]:
        """The sums, and the gradients of their mix that are wanted."""
        # Types were chosen by whoever gave the tensors.
        with torch.autocast(self.hidden.device.type, enabled=False):
            return self._run(mix, wanted)

    def _run(self, mix: Mix, wanted: tuple[bool, bool, bool]) -> tuple[Tensor, Tensor, "_Grads"]:
        views = len(self.hidden)
        wide = torch.promote_types(self.hidden.dtype, torch.float32)
        task = self.hidden.new_zeros(views, dtype=wide)
        agreement = self.hidden.new_zeros((), dtype=wide)
        classes = Classes.of_head(self.weight, self.bias)
        items = self.settings.items if self.kernel is None else self.kernel.items
        most = min(max(1, items // views), max(1, len(self.rows)))
        whole = most >= len(self.rows)
        grads = _Grads.of(self.hidden, self.weight, self.bias, wide, wanted, whole)
        kept = wide if self.kernel is None else self.hidden.dtype
        room = self.hidden.new_empty(views * most * classes.count, dtype=kept)
        spare = room.new_empty(room_for(most, classes.count) if self._usual(classes) else 0)
        for rows in self.rows.split(most):
            given = self.hidden[:, rows]
            scores = self._scores(given, room)
            parts = self._parts(scores, spare, self.labels[rows], mix, classes, any(wanted))
            task += parts.task
            agreement += parts.agreement
            if parts.grads is not None:
                grads.add(rows, given, parts.grads, self.weight, whole)
        return task, agreement, grads

    def _scores(self, given: Tensor, room: Tensor) -> Tensor:
        """The scores of some items `[views, items, classes]`, in a type that adds up well."""
        sizes = (*given.shape[:-1], len(self.weight))
        flat = given.reshape(-1, given.shape[-1])
        if room.dtype != given.dtype:
            return F.linear(flat, self.weight, self.bias).to(room.dtype).view(sizes)
        scores = room[: len(flat) * len(self.weight)].view(len(flat), len(self.weight))
        if self.bias is None:
            torch.mm(flat, self.weight.t(), out=scores)
        else:
            torch.addmm(self.bias, flat, self.weight.t(), out=scores)
        return scores.view(sizes)

    def _usual(self, classes: Classes) -> bool:
        """Whether this is what `two_views` is for."""
        settings, two = self.settings, len(self.hidden) == 2
        plain = settings.distance == "symmetric_kl" and settings.cap is None
        return two and plain and classes.gone is None and self.kernel is None

    def _parts(
        self,
        scores: Tensor,
        spare: Tensor,
        labels: Tensor,
        mix: Mix,
        classes: Classes,
        graded: bool,
    ) -> Parts:
        settings = self.settings
        if self.kernel is not None:
            own = settings, mix, classes, graded, self.kernel
            return parts_by_triton(scores, labels, *own)
        if self._usual(classes):
            return blockwise(scores, spare, labels, settings, mix, graded)
        slope = None if settings.cap is None else _capped(scores, settings.cap, classes)
        parts = parts_of(scores, labels, settings, mix, classes, graded)
        if slope is not None and parts.grads is not None:
            parts.grads.mul_(slope)
        return parts


def _capped(scores: Tensor, cap: float, classes: Classes) -> Tensor:
    """Cap scores in place, and return what that does to their gradient."""
    squeezed = scores.div_(cap).tanh_()
    slope = 1 - squeezed * squeezed
    squeezed.mul_(cap)
    if classes.gone is not None:
        squeezed.masked_fill_(classes.gone, -torch.inf)
    return slope


@dataclass(frozen=True)
class _Grads:
    """Gradients that are being added up; None where nobody wants one."""

    hidden: Tensor | None
    weight: Tensor | None
    bias: Tensor | None

    @classmethod
    def of(
        cls,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        wide: torch.dtype,
        wanted: tuple[bool, bool, bool],
        whole: bool,
    ) -> "_Grads":
        # The one product of all items at once is rounded no more often than their sum would be.
        made = torch.empty_like if whole else partial(torch.zeros_like, dtype=wide)
        return cls(
            torch.zeros_like(hidden, dtype=wide) if wanted[0] else None,
            made(weight) if wanted[1] else None,
            torch.zeros_like(bias, dtype=wide) if wanted[2] and bias is not None else None,
        )

    def add(self, rows: Tensor, given: Tensor, grad: Tensor, weight: Tensor, whole: bool) -> None:
        """What some items give, by the gradient of their scores `[views, items, classes]`."""
        flat = grad.view(-1, grad.shape[-1])
        if self.bias is not None:
            self.bias.add_(flat.sum(0, dtype=self.bias.dtype))
        flat, seen = flat.to(weight.dtype), given.reshape(-1, given.shape[-1])
        if self.hidden is not None:
            self.hidden[:, rows] = (flat @ weight).to(self.hidden.dtype).view_as(given)
        if self.weight is not None and whole:
            torch.mm(flat.t(), seen, out=self.weight)
        elif self.weight is not None and self.weight.dtype == flat.dtype:
            self.weight.addmm_(flat.t(), seen)
        elif self.weight is not None:
            self.weight.add_(flat.t() @ seen)

    def times(self, factor: float) -> "tuple[Tensor | None, ...]":
        return tuple(_times(g, factor) for g in (self.hidden, self.weight, self.bias))


def _times(grad: Tensor | None, factor: float) -> Tensor | None:
    """The product, or what is there where the factor is 1 but for its rounding."""
    if grad is None or abs(factor - 1) <= torch.finfo(grad.dtype).eps:
        return grad
    return grad * factor


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        rows: Tensor,
        how: tuple[HeadSettings, Mix, Triton | None],
    ) -> tuple[Tensor, Tensor]:
        settings, mix, kernel = how
        work = _Work(hidden, weight, bias, labels, rows, settings, kernel)
        made = mix.times(_stretch(mix, weight.dtype))
        wanted = tuple(ctx.needs_input_grad[:3])
        task, agreement, grads = work.run(made, wanted)  # pyright: ignore
        ctx.save_for_backward(hidden, weight, bias, labels, rows, *vars(grads).values())
        ctx.how, ctx.mix, ctx.wanted = (settings, kernel), made, wanted
        return task, agreement

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:  # pyright: ignore
        hidden, weight, bias, labels, rows, *held = ctx.saved_tensors
        inputs = hidden, weight, bias
        if torch.is_grad_enabled():

            def reference(hidden: Tensor, weight: Tensor, bias: Any) -> tuple[Tensor, Tensor]:
                return by_definition(hidden, weight, bias, labels, ctx.how[0], ctx.mix)[:2]

            grads = reference_gradients(reference, inputs, ctx.wanted, given)
            return (*grads, None, None, None)
        asked = Mix(tuple(given[0].tolist()), float(given[1]))
        factor = _factor(asked, ctx.mix)
        if factor is None:
            work = _Work(hidden, weight, bias, labels, rows, *ctx.how)
            stretch = _stretch(asked, weight.dtype)
            found = work.run(asked.times(stretch), ctx.wanted)[2].times(1 / stretch)
        else:
            found = _Grads(*held).times(factor)
        cast = [None if g is None else g.to(x.dtype) for g, x in zip(found, inputs, strict=True)]
        return (*cast, None, None, None)


def _stretch(mix: Mix, dtype: torch.dtype) -> float:
    """A number that keeps small gradients of scores above the least float16."""
    largest = max(abs(one) for one in (*mix.task, mix.agreement))
    return _HALF / largest if dtype == torch.float16 and largest else 1.0


def _factor(asked: Mix, made: Mix) -> float | None:
    """The number that turns the mix that was made into the one asked for, if there is one."""
    pairs = list(zip((*asked.task, asked.agreement), (*made.task, made.agreement), strict=True))
    factors = [one / other for one, other in pairs if other]
    if not factors or any(one for one, other in pairs if not other):
        return None
    # Upstream gradients are rounded to float32.
    near = all(abs(f - factors[0]) <= 1e-6 * abs(factors[0]) for f in factors)
    return factors[0] if near else None
