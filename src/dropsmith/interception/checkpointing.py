"""The part of a forward that activation checkpointing runs, and runs again for backward.

A site that draws several times in one forward is told by this which of its masks belong to the part
that is run again. Torch says it nowhere in public. Without re-entrance, the hooks that a part saves
its tensors with hold its frame; with it, a part's own node is numbered before the part begins.
"""

import inspect
from collections.abc import Mapping
from itertools import count
from typing import Any

import torch

CallPosition = tuple[int | None, int]
"""Where a call was made: the number of the part's frame, if it has one, and of the next node."""


_NUMBERS = count()


_C: Any = torch._C

saved_tensor_hooks = _C._autograd._top_saved_tensors_default_hooks
"""A function that takes True and returns the innermost hooks on saved tensors; None without them.

Where it returns some, or gradients are off, a part may be running that backward runs again.
"""

backward = _C._current_graph_task_id
"""A function that returns the number of the backward pass that is running; -1 outside of one."""


_MARK, _NODE = "_dropsmith_region", "CheckpointFunctionBackward"


def place() -> CallPosition:
    """Return the place of the running code in its forward."""
    frame = _hook_variable("frame")
    number = torch.autograd._get_sequence_nr()  # pyright: ignore[reportPrivateImportUsage]
    return None if frame is None else _number(frame), number


def attach_to_part(name: str, value: Any) -> None:
    """Keep a value with the part of the forward that is running, until backward is done with it."""
    frame = _hook_variable("frame")
    if frame is not None:
        frame.__dict__.setdefault(name, value)


def value_of_part(name: str) -> Any:
    """The value that was kept with the part that is run again; None where there is none."""
    reference = _hook_variable("target_frame_ref")
    frame = None if reference is None else reference()
    return None if frame is None else frame.__dict__.get(name)


def recomputed_calls(places: Mapping[int, CallPosition]) -> list[int]:
    """Return the calls, of those that `places` has, that belong to the part that is run again.

    There are none where torch does not show which part it is.
    """
    frame_reference = _hook_variable("target_frame_ref")
    if frame_reference is not None:
        frame = _number(frame_reference())
        return [call for call, (part, _) in places.items() if part == frame]
    node = _C._current_autograd_node()
    if node is None or node.name() != _NODE:
        return []
    return [call for call, (_, number) in places.items() if number > node._sequence_nr()]


def _number(frame: Any) -> int:
    # Not its address, which the next frame may have once this one is gone.
    return frame.__dict__.setdefault(_MARK, next(_NUMBERS))


def _hook_variable(name: str) -> Any:
    """Return a variable that the innermost hooks on saved tensors close over; None without it."""
    hooks = saved_tensor_hooks(True)
    if hooks is None:
        return None
    pack = inspect.unwrap(hooks[0])
    code, cells = getattr(pack, "__code__", None), getattr(pack, "__closure__", None)
    if code is None or cells is None or name not in code.co_freevars:
        return None
    return cells[code.co_freevars.index(name)].cell_contents
