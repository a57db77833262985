"""Steps captured as a CUDA graph, so that one launch runs a whole sequence."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

Inputs = Sequence[Tensor | None]
Steps = Callable[..., tuple[Tensor, ...]]


class Graphs:
    """Captures steps once for each shape of their tensors, and replays them afterwards.

    A copy, and a `Graphs` from a pickle, start without captures.

    >>> Graphs(max_captures=2)
    Graphs(max_captures=2)

    Args:
        max_captures: the number of captures that are kept; the least recently used is removed
            first. Each holds memory for all tensors of its steps.
    """

    def __init__(self, *, max_captures: int = 8) -> None:
        self.max_captures = max_captures
        self._captures: OrderedDict[Hashable, _Capture] = OrderedDict()

    def __repr__(self) -> str:
        return f"Graphs(max_captures={self.max_captures})"

    def __reduce__(self) -> tuple[Callable[[int], "Graphs"], tuple[int]]:
        return _empty, (self.max_captures,)

    def run(self, steps: Steps, settings: Hashable, inputs: Inputs) -> tuple[Tensor, ...]:
        """Run `steps(settings, *inputs)`, which must only launch kernels."""
        kinds = tuple(None if x is None else (x.shape, x.dtype, x.device) for x in inputs)
        key = steps, settings, kinds
        if key not in self._captures:
            self._captures[key] = _Capture(steps, settings, inputs)
        self._captures.move_to_end(key)
        if len(self._captures) > self.max_captures:
            self._captures.popitem(last=False)
        return self._captures[key].replay(inputs)


class _Capture:
    def __init__(self, steps: Steps, settings: Hashable, inputs: Inputs) -> None:
        self.inputs = [None if x is None else x.clone() for x in inputs]
        # Outside the capture, in which kernels cannot be compiled and loaded.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            steps(settings, *self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.outputs = steps(settings, *self.inputs)

    def replay(self, inputs: Inputs) -> tuple[Tensor, ...]:
        for target, source in zip(self.inputs, inputs, strict=True):
            if target is not None and source is not None:
                target.copy_(source)
        self.graph.replay()
        return tuple(output.clone() for output in self.outputs)


def _empty(max_captures: int) -> Graphs:
    return Graphs(max_captures=max_captures)
