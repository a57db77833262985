"""The head in chunks of items, on any device, with the gradients of each chunk."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.kernels import triton_available
from dropsmith.kernels.double_backward import reference_gradients
from dropsmith.kernels.fused_linear_consistency.classes import Classes
from dropsmith.kernels.fused_linear_consistency.closed_form import Parts, parts_of
from dropsmith.kernels.fused_linear_consistency.reference import (
    fused_linear_consistency as by_definition,
)
from dropsmith.kernels.fused_linear_consistency.settings import HeadSettings, HeadSums, Mix, Triton
from dropsmith.kernels.fused_linear_consistency.triton import check_runs, supports, triton_parts
from dropsmith.kernels.fused_linear_consistency.two_views import blockwise, spare_size

_HALF = 256.0
"""The largest factor of float16 gradients, so that they stay far below 65 504."""


def fused_linear_consistency(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
    kernel: Triton | None = None,
) -> HeadSums:
    """See `dropsmith.kernels.fused_linear_consistency.fused_linear_consistency`."""
    if kernel is not None:
        check_runs(hidden, settings)
    elif hidden.is_cuda and supports(hidden, settings) and triton_available():
        kernel = Triton()
    rows = (labels != settings.ignore_index).nonzero().squeeze(-1)
    options = settings, mix, kernel
    task, consistency = _Head.apply(hidden, weight, bias, labels, rows, options)  # pyright: ignore
    return HeadSums(task, consistency, len(rows))


@dataclass(frozen=True)
class _Work:
    """One pass over all items that are counted."""

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None
    labels: Tensor
    rows: Tensor
    settings: HeadSettings
    kernel: Triton | None

    def run(self, mix: Mix, needs: tuple[bool, bool, bool]) -> tuple[Tensor, Tensor, "_Grads"]:
        """The sums, and the gradients of their mix that are needed."""
        # The caller chose the types of the tensors.
        with torch.autocast(self.hidden.device.type, enabled=False):
            return self._run(mix, needs)

    def _run(self, mix: Mix, needs: tuple[bool, bool, bool]) -> tuple[Tensor, Tensor, "_Grads"]:
        views = len(self.hidden)
        wide = torch.promote_types(self.hidden.dtype, torch.float32)
        task = self.hidden.new_zeros(views, dtype=wide)
        consistency = self.hidden.new_zeros((), dtype=wide)
        classes = Classes.of_head(self.weight, self.bias)
        items = self.settings.items if self.kernel is None else self.kernel.items
        chunk = min(max(1, items // views), max(1, len(self.rows)))
        is_single_chunk = chunk >= len(self.rows)
        grads = _Grads.of(self.hidden, self.weight, self.bias, wide, needs, is_single_chunk)
        score_dtype = wide if self.kernel is None else self.hidden.dtype
        buffer = self.hidden.new_empty(views * chunk * classes.count, dtype=score_dtype)
        spare = buffer.new_empty(
            spare_size(chunk, classes.count) if self._is_two_view_case(classes) else 0
        )
        for rows in self.rows.split(chunk):
            states = self.hidden[:, rows]
            scores = self._scores(states, buffer)
            parts = self._parts(scores, spare, self.labels[rows], mix, classes, any(needs))
            task += parts.task
            consistency += parts.consistency
            if parts.grads is not None:
                grads.add(rows, states, parts.grads, self.weight, is_single_chunk)
        return task, consistency, grads

    def _scores(self, states: Tensor, buffer: Tensor) -> Tensor:
        """The scores of some items `[views, items, classes]`, in a type for exact sums."""
        sizes = (*states.shape[:-1], len(self.weight))
        flat = states.reshape(-1, states.shape[-1])
        if buffer.dtype != states.dtype:
            return F.linear(flat, self.weight, self.bias).to(buffer.dtype).view(sizes)
        scores = buffer[: len(flat) * len(self.weight)].view(len(flat), len(self.weight))
        if self.bias is None:
            torch.mm(flat, self.weight.t(), out=scores)
        else:
            torch.addmm(self.bias, flat, self.weight.t(), out=scores)
        return scores.view(sizes)

    def _is_two_view_case(self, classes: Classes) -> bool:
        """Say whether `two_views` supports these settings."""
        settings, two = self.settings, len(self.hidden) == 2
        plain = settings.distance == "symmetric_kl" and settings.cap is None
        return two and plain and classes.missing is None and self.kernel is None

    def _parts(
        self,
        scores: Tensor,
        spare: Tensor,
        labels: Tensor,
        mix: Mix,
        classes: Classes,
        with_grads: bool,
    ) -> Parts:
        settings = self.settings
        if self.kernel is not None:
            arguments = settings, mix, classes, with_grads, self.kernel
            return triton_parts(scores, labels, *arguments)
        if self._is_two_view_case(classes):
            return blockwise(scores, spare, labels, settings, mix, with_grads)
        slope = None if settings.cap is None else _cap_in_place(scores, settings.cap, classes)
        parts = parts_of(scores, labels, settings, mix, classes, with_grads)
        if slope is not None and parts.grads is not None:
            parts.grads.mul_(slope)
        return parts


def _cap_in_place(scores: Tensor, cap: float, classes: Classes) -> Tensor:
    """Cap scores in place, and return the derivative of the cap."""
    tanh = scores.div_(cap).tanh_()
    slope = 1 - tanh * tanh
    tanh.mul_(cap)
    if classes.missing is not None:
        tanh.masked_fill_(classes.missing, -torch.inf)
    return slope


@dataclass(frozen=True)
class _Grads:
    """Gradients that chunks add to; None where no gradient is needed."""

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
        needs: tuple[bool, bool, bool],
        is_single_chunk: bool,
    ) -> "_Grads":
        # One product over all items is rounded no more often than a sum of products.
        new_buffer = torch.empty_like if is_single_chunk else partial(torch.zeros_like, dtype=wide)
        return cls(
            torch.zeros_like(hidden, dtype=wide) if needs[0] else None,
            new_buffer(weight) if needs[1] else None,
            torch.zeros_like(bias, dtype=wide) if needs[2] and bias is not None else None,
        )

    def add(
        self, rows: Tensor, states: Tensor, grad: Tensor, weight: Tensor, is_single_chunk: bool
    ) -> None:
        """Add the gradients of some items, from that of their scores `[views, items, classes]`."""
        flat = grad.view(-1, grad.shape[-1])
        if self.bias is not None:
            self.bias.add_(flat.sum(0, dtype=self.bias.dtype))
        flat, flat_states = flat.to(weight.dtype), states.reshape(-1, states.shape[-1])
        if self.hidden is not None:
            self.hidden[:, rows] = (flat @ weight).to(self.hidden.dtype).view_as(states)
        if self.weight is not None and is_single_chunk:
            torch.mm(flat.t(), flat_states, out=self.weight)
        elif self.weight is not None and self.weight.dtype == flat.dtype:
            self.weight.addmm_(flat.t(), flat_states)
        elif self.weight is not None:
            self.weight.add_(flat.t() @ flat_states)

    def times(self, factor: float) -> "tuple[Tensor | None, ...]":
        return tuple(_times(g, factor) for g in (self.hidden, self.weight, self.bias))


def _times(grad: Tensor | None, factor: float) -> Tensor | None:
    """The gradient times the factor; the gradient itself where the factor rounds to 1."""
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
        options: tuple[HeadSettings, Mix, Triton | None],
    ) -> tuple[Tensor, Tensor]:
        settings, mix, kernel = options
        work = _Work(hidden, weight, bias, labels, rows, settings, kernel)
        mix_of_grads = mix.times(_stretch(mix, weight.dtype))
        needs = tuple(ctx.needs_input_grad[:3])
        task, consistency, grads = work.run(mix_of_grads, needs)  # pyright: ignore
        ctx.save_for_backward(hidden, weight, bias, labels, rows, *vars(grads).values())
        ctx.options, ctx.mix, ctx.needs = (settings, kernel), mix_of_grads, needs
        return task, consistency

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore
        hidden, weight, bias, labels, rows, *buffers = ctx.saved_tensors
        inputs = hidden, weight, bias
        if torch.is_grad_enabled():

            def reference(hidden: Tensor, weight: Tensor, bias: Any) -> tuple[Tensor, Tensor]:
                return by_definition(hidden, weight, bias, labels, ctx.options[0], ctx.mix)[:2]

            grads = reference_gradients(reference, inputs, ctx.needs, upstream)
            return (*grads, None, None, None)
        upstream_mix = Mix(tuple(upstream[0].tolist()), float(upstream[1]))
        factor = _factor(upstream_mix, ctx.mix)
        if factor is None:
            work = _Work(hidden, weight, bias, labels, rows, *ctx.options)
            stretch = _stretch(upstream_mix, weight.dtype)
            gradients = work.run(upstream_mix.times(stretch), ctx.needs)[2].times(1 / stretch)
        else:
            gradients = _Grads(*buffers).times(factor)
        cast = [
            None if g is None else g.to(x.dtype) for g, x in zip(gradients, inputs, strict=True)
        ]
        return (*cast, None, None, None)


def _stretch(mix: Mix, dtype: torch.dtype) -> float:
    """A factor that keeps small gradients of scores in the range of float16."""
    largest = max(abs(x) for x in (*mix.task, mix.consistency))
    return _HALF / largest if dtype == torch.float16 and largest else 1.0


def _factor(upstream_mix: Mix, mix_of_grads: Mix) -> float | None:
    """The factor between the mix of the gradients and that of upstream; None if there is none."""
    pairs = list(
        zip(
            (*upstream_mix.task, upstream_mix.consistency),
            (*mix_of_grads.task, mix_of_grads.consistency),
            strict=True,
        )
    )
    factors = [x / y for x, y in pairs if y]
    if not factors or any(x for x, y in pairs if not y):
        return None
    # Upstream gradients are rounded to float32.
    near = all(abs(f - factors[0]) <= 1e-6 * abs(factors[0]) for f in factors)
    return factors[0] if near else None
