"""A model's plan taken off for a while and put back as it was: hooks, their order, rates, noise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from dropsmith.interception import Attachment
from dropsmith.noise.lookup import INSTALLED, Installation, installation_of
from dropsmith.noise.state import ATTRIBUTE

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_load_state_dict_post_hooks",
)


@contextmanager
def plan_suspended(model: nn.Module) -> Iterator[None]:
    """The model without its plan and its noise for the length of a `with` block.

    The very same hooks come back at the same places among those of others, so that whoever holds
    the model's noise, or a handle, holds it still.
    """
    made = installation_of(model)
    own = {name: model.__dict__.pop(name, None) for name in (INSTALLED, ATTRIBUTE)}
    hooks = [(held, dict(held)) for module in model.modules() for held in _held(module)]
    attached = _all_attachments(made)
    states = [(one, dict(vars(one)) | {"handles": list(one.handles)}) for one in attached]
    returning = [one.returning() for one in attached]
    _take_off(made)
    try:
        yield
    finally:
        for held, items in hooks:
            held.clear()
            held.update(items)
        for one, state in states:
            vars(one).update(state)
        for back in returning:
            back()
        model.__dict__.update({name: value for name, value in own.items() if value is not None})


def _take_off(made: Installation | None) -> None:
    if made is None:
        return
    for handle in made.handles:
        handle.remove()
    for attachment in reversed(made.attachments):
        attachment.detach()


def _held(module: nn.Module) -> list[dict[int, Any]]:
    return [module.__dict__[name] for name in _HOOKS if name in module.__dict__]


def _all_attachments(made: Installation | None) -> list[Attachment]:
    found: list[Attachment] = []
    waiting = list(made.attachments) if made is not None else []
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += [part for part in vars(one).values() if isinstance(part, Attachment)]
    return found
