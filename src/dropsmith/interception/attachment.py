"""Attachments: hooks that are put on a module and taken off again, picklable with the model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle


class Attachment(ABC):
    """Noise at one site of one module, until it is detached."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.handles: list[RemovableHandle] = []

    @abstractmethod
    def attach(self) -> None:
        """Put the noise on."""

    def detach(self) -> None:
        """Take the noise off and leave the module as it was."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def restorer(self) -> Callable[[], None]:
        """Return a function that puts back, after `detach`, what is no hook, as it is now."""
        return _do_nothing


def _do_nothing() -> None: ...


@dataclass(frozen=True)
class _Entry:
    """A hook's place in a dictionary of its module."""

    hooks: Any
    number: int
    value: Any


class DetachedHooks:
    """Hooks that have been taken off, to be hung on again where and as they were.

    Registered anew, a hook has a new number, and code that was compiled with the old one is
    compiled again.

    >>> from torch import nn
    >>> net = nn.Linear(2, 2)
    >>> handle = net.register_forward_hook(print)
    >>> hung = DetachedHooks([handle])
    >>> len(net._forward_hooks), hung.reattach(), handle.id in net._forward_hooks
    (0, None, True)

    Hooks that others add or remove meanwhile stay as they are.

    Args:
        handles: the hooks, which are on; they come off now.
    """

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.entries = [entry for handle in handles for entry in _entries(handle)]
        self.orders = {id(entry.hooks): list(entry.hooks) for entry in self.entries}
        for handle in handles:
            handle.remove()

    def reattach(self) -> None:
        """Hang them on, each behind what was before it."""
        for entry in self.entries:
            _insert(entry, self.orders[id(entry.hooks)])


def _insert(entry: _Entry, order: Sequence[int]) -> None:
    """Put a hook back at its place in the order of numbers that its dictionary had."""
    hooks = entry.hooks
    later = set(order[order.index(entry.number) + 1 :])
    earlier = set(order[: order.index(entry.number)])
    numbers = list(hooks)
    last = max((i for i, number in enumerate(numbers) if number in earlier), default=-1)
    hooks[entry.number] = entry.value
    if last >= 0:
        behind = numbers[last + 1 :]
    else:
        # What others have hung before all of them stays before them.
        first = next((i for i, number in enumerate(numbers) if number in later), len(numbers))
        behind = numbers[first:]
    for number in behind:
        hooks[number] = hooks.pop(number)


def _entries(handle: RemovableHandle) -> list[_Entry]:
    dictionaries = [ref() for ref in (handle.hooks_dict_ref, *handle.extra_dict_ref)]
    return [
        _Entry(hooks, handle.id, hooks[handle.id])
        for hooks in dictionaries
        if hooks is not None and handle.id in hooks
    ]
