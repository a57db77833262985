"""Turns of threads: one thread at a time changes models and state of the process.

While a model is looked at, sampled or given a plan, its hooks, modes and rates are not as its owner
left them; and torch's generators, its fast path and the stance of its compiler are those of the
process. So threads take turns in all that the package does to models, whichever they are.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from threading import RLock, get_ident
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.interception import checkpointing

P = ParamSpec("P")
R = TypeVar("R")


turn = RLock()
"""Held by the thread whose turn it is, which may take it again; a `with` block waits for it."""

if hasattr(os, "register_at_fork"):
    # A child that is forked while another thread holds the turn would wait for it forever.
    os.register_at_fork(after_in_child=turn._at_fork_reinit)  # pyright: ignore


def taking_turns(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function wait for the turn of its thread, and keep it until the function returns."""

    @wraps(function)
    def in_turn(*args: P.args, **kwargs: P.kwargs) -> R:
        with turn:
            return function(*args, **kwargs)

    return in_turn


@contextmanager
def only_this_thread(model: nn.Module, modes: Mapping[nn.Module, bool]) -> Iterator[None]:
    """Refuse other threads' forwards of a model in a `with` block, unless it evaluates throughout.

    They would run in a mode that is not the owner's, or what they write to buffers would be undone.

    Args:
        model: the root, whose forward is refused.
        modes: what `training` is of each module for its owner.
    """
    if isinstance(model, torch.jit.ScriptModule):
        yield
        return
    handle = model.register_forward_pre_hook(_Refuse(get_ident(), modes), prepend=True)
    try:
        yield
    finally:
        handle.remove()


class _Refuse:
    """A hook before the root's forward, which raises `NoiseError` in all threads but one."""

    def __init__(self, thread: int, modes: Mapping[nn.Module, bool]) -> None:
        self.thread, self.modes = thread, modes

    def __call__(self, module: nn.Module, args: Any) -> None:
        if torch.compiler.is_compiling() or self.thread == get_ident():
            return
        # What autograd's threads run again for a checkpoint belongs to a backward of any thread.
        trains = any(module.training or before for module, before in self.modes.items())
        if trains and checkpointing.backward() == -1:
            raise NoiseError(
                "another thread predicts with this model or looks at it, and the model is in train "
                "mode, before or for that\n"
                "  call the model when that has ended, or give each thread a copy of it"
            )
