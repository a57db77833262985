"""Lazy log-probabilities of an adaptive softmax."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import KernelError
from dropsmith.kernels.adaptive_softmax import adaptive_log_softmax, adaptive_softmax_consistency
from dropsmith.kernels.double_backward import reference_gradients
from dropsmith.kernels.fused_linear_consistency import HeadSettings, HeadSums
from dropsmith.kernels.lazy_logits.lazy_tensor import LazyLogits


@dataclass(frozen=True, eq=False)
class Bands:
    """The weights of an adaptive softmax at the time of its call.

    Args:
        tables: the vectors of each band's words.
        clusters: the vector of each band after the first.
        versions: the version of each tensor, which counts its changes in place.
        dtype: the type of autocast, or None without it.
    """

    tables: tuple[Tensor, ...]
    clusters: Tensor
    versions: tuple[int, ...]
    dtype: torch.dtype | None

    @classmethod
    def of(cls, tables: Sequence[Tensor], clusters: Tensor) -> "Bands":
        """The bands, with the present type of autocast."""
        kind = clusters.device.type
        auto = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        return cls(tuple(tables), clusters, _versions((*tables, clusters)), auto)

    def is_same(self, other: "Bands") -> bool:
        """Say whether two calls had the same weights, unchanged in between."""
        pairs = zip((*self.tables, self.clusters), (*other.tables, other.clusters), strict=False)
        same_weights = len(self.tables) == len(other.tables) and all(a is b for a, b in pairs)
        return same_weights and self.versions == other.versions and self.dtype == other.dtype

    @contextmanager
    def call_autocast(self) -> Iterator[None]:
        """Autocast as in the call, in a `with` block; `KernelError` if the weights have changed."""
        if _versions((*self.tables, self.clusters)) != self.versions:
            raise KernelError(
                "these logits are computed at their first use, and the head's weights have changed "
                "since the forward pass\n  use the logits before the optimiser's step"
            )
        kind, auto = self.clusters.device.type, self.dtype is not None
        with torch.autocast(kind, dtype=self.dtype, enabled=auto):
            yield

    def log_softmax(self, *states: Tensor) -> Tensor:
        """The log-probabilities of all words."""
        with self.call_autocast():
            return adaptive_log_softmax(states, self.tables, self.clusters)

    def consistency(
        self, states: Sequence[Tensor], labels: Tensor, settings: HeadSettings
    ) -> HeadSums:
        """Losses of views and the distance between them: see `adaptive_softmax_consistency`."""
        with self.call_autocast():
            return adaptive_softmax_consistency(
                states, self.tables, self.clusters, labels, settings
            )


class BandScores(LazyLogits):
    """The log-probability of every word, computed at the first use.

    >>> bands = Bands.of([torch.zeros(3, 4), torch.zeros(5, 2)], torch.zeros(1, 4))
    >>> scores = BandScores.of([torch.ones(7, 4), torch.ones(7, 2)], bands)
    >>> scores.shape, scores.is_pending
    (torch.Size([7, 8]), True)
    >>> scores.exp()[0]
    tensor([0.2500, 0.2500, 0.2500, 0.0500, 0.0500, 0.0500, 0.0500, 0.0500])

    Args:
        states: the inputs of each band's scores.
        bands: the weights.
    """

    states: tuple[Tensor, ...]
    bands: Bands

    @classmethod
    def of(cls, states: Sequence[Tensor], bands: Bands) -> "BandScores":
        """The scores from these states."""
        states, weights = tuple(states), (*bands.tables, bands.clusters)
        needs_gradient = torch.is_grad_enabled() and any(
            x.requires_grad for x in (*states, *weights)
        )
        sizes = (*states[0].shape[:-1], sum(len(table) for table in bands.tables))
        dtype = torch.promote_types(states[0].dtype, torch.float32)

        compute = lambda: bands.log_softmax(*states)  # noqa: E731
        new = lambda: cls(compute, sizes, dtype, states[0].device, needs_gradient)  # noqa: E731
        scores = (
            _LazyGraph.apply(new, bands, len(states), *states, *weights)
            if needs_gradient
            else new()
        )
        scores.states, scores.bands = states, bands
        return scores

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return self.states

    def _cut(self, sizes: list[int], dim: int) -> list[LazyLogits]:
        parts = zip(*(state.split(sizes, dim) for state in self.states), strict=True)
        return [BandScores.of(part, self.bands) for part in parts]

    def alike(self, other: LazyLogits) -> bool:
        return (
            isinstance(other, BandScores)
            and self.bands.is_same(other.bands)
            and self.shape == other.shape
        )

    def cross_entropy(self, labels: Tensor, ignore_index: int) -> Tensor:
        settings = HeadSettings(ignore_index=ignore_index)
        with torch.set_grad_enabled(self.needs_gradient and torch.is_grad_enabled()):
            states = [state.flatten(0, -2).unsqueeze(0) for state in self.states]
            return self.bands.consistency(states, labels.flatten(), settings).task.sum()


def _versions(weights: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(weight._version for weight in weights)


class _LazyGraph(torch.autograd.Function):
    """The graph of lazy scores, for functions that take them without using their numbers."""

    @staticmethod
    def forward(ctx: Any, new: Any, bands: Bands, states: int, *inputs: Tensor) -> BandScores:
        ctx.save_for_backward(*inputs)
        ctx.bands, ctx.states = bands, states
        return new()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        def reference(*inputs: Tensor) -> tuple[Tensor]:
            states, (*tables, clusters) = inputs[: ctx.states], inputs[ctx.states :]
            with ctx.bands.call_autocast():
                return (adaptive_log_softmax(states, tables, clusters),)

        needs = ctx.needs_input_grad[3:]
        return None, None, None, *reference_gradients(reference, ctx.saved_tensors, needs, grads)
