"""Turns of threads: one thread at a time changes models and state of the process.

While a model is looked at, sampled or given a plan, its hooks, modes and rates are not as its owner
left them; and torch's generators, its fast path and the stance of its compiler are those of the
process. So threads take turns in all that the package does to models, whichever they are.
"""

import os
from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import ParamSpec, TypeVar

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
