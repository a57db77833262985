"""Which part of a forward activation checkpointing runs, and which it runs again for backward.

A site that draws several times in one forward is told by this which of its masks belong to the part
that is run again. Torch says it nowhere in public. Without re-entrance, the hooks that a part saves
its tensors with hold its frame; with it, a part's own node is numbered before the part begins.
"""

import inspect
from collections.abc import Sequence
from itertools import count
from typing import Any

import torch

CallPosition = tuple[int | None, int]
"""Where a call was made: the number of the part's frame, if it has one, and of the next node."""


_NUMBERS = count()


_C: Any = torch._C
_HOOKS = _C._autograd._top_saved_tensors_default_hooks


_MARK, _NODE = "_dropsmith_region", "CheckpointFunctionBackward"


def place() -> CallPosition:
    """Where in its forward the running code is."""
    frame = _held("frame")
    number = torch.autograd._get_sequence_nr()  # pyright: ignore[reportPrivateImportUsage]
    return None if frame is None else _number(frame), number


def may_run_again() -> bool:
    """Whether backward may run again what is running: hooks hold its tensors, or it keeps none."""
    return not torch.is_grad_enabled() or _HOOKS(True) is not None


def again(places: Sequence[CallPosition]) -> list[int]:
    """Which calls, by their places in the forward, the part that is run again begins with.

    There are none where torch does not show which part it is.
    """
    held = _held("target_frame_ref")
    if held is not None:
        frame = _number(held())
        return [call for call, (own, _) in enumerate(places) if own == frame]
    node = torch._C._current_autograd_node()
    if node is None or node.name() != _NODE:
        return []
    return [call for call, (_, number) in enumerate(places) if number > node._sequence_nr()]


def backward() -> int:
    """The number of the backward pass that is running; -1 outside of one."""
    return torch._C._current_graph_task_id()


def _number(frame: Any) -> int:
    # Not its address, which the next frame may have once this one is gone.
    return frame.__dict__.setdefault(_MARK, next(_NUMBERS))


def _held(name: str) -> Any:
    """What the innermost hooks on saved tensors hold under a name; None where it is not there."""
    hooks = _HOOKS(True)
    if hooks is None:
        return None
    pack = inspect.unwrap(hooks[0])
    code, cells = getattr(pack, "__code__", None), getattr(pack, "__closure__", None)
    if code is None or cells is None or name not in code.co_freevars:
        return None
    return cells[code.co_freevars.index(name)].cell_contents
