"""Hooks that are attached to a module and detached again, picklable with the model."""

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
        """Attach the noise to its module."""

    def detach(self) -> None:
        """Detach the noise, and restore the module."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def restorer(self) -> Callable[[], None]:
        """Return a function that restores, after `detach`, the present state that is no hook."""
        return _do_nothing


def _do_nothing() -> None: ...


@dataclass(frozen=True)
class _Entry:
    """The position of a hook in a dictionary of its module."""

    hooks: Any
    number: int
    value: Any


class DetachedHooks:
    """Hooks that are detached, and attached again at the same position with the same number.

    A hook that is registered anew has a new number, for which compiled code is compiled again.

    >>> from torch import nn
    >>> net = nn.Linear(2, 2)
    >>> handle = net.register_forward_hook(print)
    >>> hooks = DetachedHooks([handle])
    >>> len(net._forward_hooks), hooks.reattach(), handle.id in net._forward_hooks
    (0, None, True)

    Hooks that other code adds or removes meanwhile are left as they are.

    Args:
        handles: of the hooks, which are detached now.
    """

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.entries = [entry for handle in handles for entry in _entries(handle)]
        self.orders = {id(entry.hooks): list(entry.hooks) for entry in self.entries}
        for handle in handles:
            handle.remove()

    def reattach(self) -> None:
        """Attach each hook behind the hook that was before it."""
        for entry in self.entries:
            _insert(entry, self.orders[id(entry.hooks)])


def _insert(entry: _Entry, order: Sequence[int]) -> None:
    """Insert a hook into its dictionary in the order of numbers."""
    hooks = entry.hooks
    later = set(order[order.index(entry.number) + 1 :])
    earlier = set(order[: order.index(entry.number)])
    numbers = list(hooks)
    last = max((i for i, number in enumerate(numbers) if number in earlier), default=-1)
    hooks[entry.number] = entry.value
    if last >= 0:
        behind = numbers[last + 1 :]
    else:
        # Hooks that other code put before all of these stay first.
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
