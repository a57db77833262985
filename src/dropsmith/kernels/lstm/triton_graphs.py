"""Steps captured as a CUDA graph, so that a whole sequence is launched at once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

Given = Sequence[Tensor | None]
Steps = Callable[..., tuple[Tensor, ...]]


class Graphs:
    """Captures steps once for each shape of their tensors, and replays them from then on.

    A copy of it and one read from a pickle start empty.

    >>> Graphs(most=2)
    Graphs(most=2)

    Args:
        most: how many captures are held; the one longest unused goes first. Each holds memory of
            its own for all the tensors of its steps.
    """

    def __init__(self, *, most: int = 8) -> None:
        self.most = most
        self._held: OrderedDict[Hashable, _Captured] = OrderedDict()

    def __repr__(self) -> str:
        return f"Graphs(most={self.most})"

    def __reduce__(self) -> tuple[Callable[[int], "Graphs"], tuple[int]]:
        return _empty, (self.most,)

    def run(self, steps: Steps, settings: Hashable, given: Given) -> tuple[Tensor, ...]:
        """`steps(settings, *given)`, which must do nothing but launch kernels."""
        kinds = tuple(None if x is None else (x.shape, x.dtype, x.device) for x in given)
        key = steps, settings, kinds
        if key not in self._held:
            self._held[key] = _Captured(steps, settings, given)
        self._held.move_to_end(key)
        if len(self._held) > self.most:
            self._held.popitem(last=False)
        return self._held[key].replay(given)


class _Captured:
    def __init__(self, steps: Steps, settings: Hashable, given: Given) -> None:
        self.given = [None if x is None else x.clone() for x in given]
        # Outside the capture, where kernels may still be compiled and loaded.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            steps(settings, *self.given)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.made = steps(settings, *self.given)

    def replay(self, given: Given) -> tuple[Tensor, ...]:
        for mine, theirs in zip(self.given, given, strict=True):
            if mine is not None and theirs is not None:
                mine.copy_(theirs)
        self.graph.replay()
        return tuple(made.clone() for made in self.made)


def _empty(most: int) -> Graphs:
    return Graphs(most=most)
