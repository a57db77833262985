"""Some items at a time, on any device: their gradient is made while their scores are there."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from dropsmith.kernels.agreeing_head.classes import Classes
from dropsmith.kernels.agreeing_head.closed_form import parts_of
from dropsmith.kernels.agreeing_head.settings import HeadSettings, HeadSums, Mix

_HALF = 256.0
"""The largest weight while float16 is multiplied: gradients of scores stay far below 65 504."""


def agreeing_head(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
) -> HeadSums:
    """See `dropsmith.kernels.agreeing_head.agreeing_head`."""
    rows = (labels != settings.ignore_index).nonzero().squeeze(-1)
    task, agreement = _Head.apply(hidden, weight, bias, labels, rows, settings, mix)  # pyright: ignore
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
        grads = _Grads.of(self.hidden, self.weight, self.bias, wide, wanted)
        classes = Classes.of_head(self.weight, self.bias)
        for rows in self.rows.split(max(1, self.settings.items // views)):
            given = self.hidden[:, rows]
            scores, slope = self._scores(given, wide, classes)
            parts = parts_of(scores, self.labels[rows], self.settings, mix, classes, any(wanted))
            task += parts.task
            agreement += parts.agreement
            for view, grad in enumerate(parts.grads):
                own = grad if slope is None else grad.mul_(slope[view])
                grads.add(view, rows, given[view], own, self.weight)
        return task, agreement, grads

    def _scores(
        self, given: Tensor, wide: torch.dtype, classes: Classes
    ) -> tuple[Tensor, Tensor | None]:
        """The scores of some items, and what the cap does to their gradient."""
        scores = F.linear(given, self.weight, self.bias).to(wide)
        cap = self.settings.cap
        if cap is None:
            return scores, None
        squeezed = scores.div_(cap).tanh_()
        slope = 1 - squeezed * squeezed
        scores = squeezed.mul_(cap)
        if classes.gone is not None:
            scores.masked_fill_(classes.gone, -torch.inf)
        return scores, slope


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
    ) -> "_Grads":
        return cls(
            torch.zeros_like(hidden, dtype=wide) if wanted[0] else None,
            torch.zeros_like(weight, dtype=wide) if wanted[1] else None,
            torch.zeros_like(bias, dtype=wide) if wanted[2] and bias is not None else None,
        )

    def add(self, view: int, rows: Tensor, given: Tensor, grad: Tensor, weight: Tensor) -> None:
        """What some items of a view give, by the gradient of their scores `[items, classes]`."""
        if self.bias is not None:
            self.bias.add_(grad.sum(0))
        grad = grad.to(weight.dtype)
        if self.hidden is not None:
            self.hidden[view, rows] = (grad @ weight).to(self.hidden.dtype)
        if self.weight is not None and self.weight.dtype == grad.dtype:
            self.weight.addmm_(grad.t(), given)
        elif self.weight is not None:
            self.weight.add_(grad.t() @ given)

    def times(self, factor: float) -> "tuple[Tensor | None, ...]":
        return tuple(
            None if g is None else g * factor for g in (self.hidden, self.weight, self.bias)
        )


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        rows: Tensor,
        settings: HeadSettings,
        mix: Mix,
    ) -> tuple[Tensor, Tensor]:
        work = _Work(hidden, weight, bias, labels, rows, settings)
        made = mix.times(_stretch(mix, weight.dtype))
        wanted = tuple(ctx.needs_input_grad[:3])
        task, agreement, grads = work.run(made, wanted)  # pyright: ignore
        ctx.save_for_backward(hidden, weight, bias, labels, rows, *vars(grads).values())
        ctx.settings, ctx.mix, ctx.wanted = settings, made, wanted
        return task, agreement

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> Any:  # pyright: ignore
        hidden, weight, bias, labels, rows, *held = ctx.saved_tensors
        asked = Mix(tuple(given[0].tolist()), float(given[1]))
        factor = _factor(asked, ctx.mix)
        if factor is None:
            work = _Work(hidden, weight, bias, labels, rows, ctx.settings)
            stretch = _stretch(asked, weight.dtype)
            found = work.run(asked.times(stretch), ctx.wanted)[2].times(1 / stretch)
        else:
            found = _Grads(*held).times(factor)
        own = (hidden, weight, bias)
        cast = [None if g is None else g.to(x.dtype) for g, x in zip(found, own, strict=True)]
        return (*cast, None, None, None, None)


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
