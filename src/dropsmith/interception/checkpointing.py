"""The part of a forward that activation checkpointing runs, and runs again for backward.

A site that draws several times in a forward needs to know which of its masks belong to the part
that is run again. torch has no public function for it. With `use_reentrant=False` the hooks on
saved tensors of a part hold its frame; with `use_reentrant=True` the number of a part's node shows
where the part began.
"""

import inspect
from collections.abc import Mapping
from itertools import count
from typing import Any

import torch

CallPosition = tuple[int | None, int]
"""The position of a call: the number of the part's frame, if there is one, and of the next node."""


_NUMBERS = count()


_C: Any = torch._C

saved_tensor_hooks = _C._autograd._top_saved_tensors_default_hooks
"""A function that takes True and returns the innermost hooks on saved tensors, or None.

If it returns hooks, or gradients are off, the running code may be run again by backward.
"""

backward = _C._current_graph_task_id
"""A function that returns the number of the running backward pass; -1 outside of one."""


_MARK, _NODE = "_dropsmith_region", "CheckpointFunctionBackward"


def place() -> CallPosition:
    """Return the position of the running code in its forward."""
    frame = _hook_variable("frame")
    number = torch.autograd._get_sequence_nr()  # pyright: ignore[reportPrivateImportUsage]
    return None if frame is None else _number(frame), number


def attach_to_part(name: str, value: Any) -> None:
    """Store a value with the running part of the forward, until backward has finished the part."""
    frame = _hook_variable("frame")
    if frame is not None:
        frame.__dict__.setdefault(name, value)


def value_of_part(name: str) -> Any:
    """The value that was stored with the part that is run again; None without one."""
    reference = _hook_variable("target_frame_ref")
    frame = None if reference is None else reference()
    return None if frame is None else frame.__dict__.get(name)


def recomputed_calls(places: Mapping[int, CallPosition]) -> list[int]:
    """Return the calls in `places` that belong to the part that is run again.

    The result is empty if torch does not show which part it is.
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
    # Not its address, which a later frame may have.
    return frame.__dict__.setdefault(_MARK, next(_NUMBERS))


def _hook_variable(name: str) -> Any:
    """Return a variable from the closure of the innermost hooks on saved tensors, or None."""
    hooks = saved_tensor_hooks(True)
    if hooks is None:
        return None
    pack = inspect.unwrap(hooks[0])
    code, cells = getattr(pack, "__code__", None), getattr(pack, "__closure__", None)
    if code is None or cells is None or name not in code.co_freevars:
        return None
    return cells[code.co_freevars.index(name)].cell_contents
