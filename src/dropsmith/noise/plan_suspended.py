"""A model's plan taken off for a while and put back as it was: hooks, their order, rates, noise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from dropsmith.interception import Attachment, DetachedHooks
from dropsmith.noise.clock import CALL, STEP, unregister
from dropsmith.noise.lookup import INSTALLATION, Installation, installation_of
from dropsmith.noise.state import ATTRIBUTE


@contextmanager
def plan_suspended(model: nn.Module) -> Iterator[None]:
    """The model without its plan and its noise for the length of a `with` block.

    The very same hooks come back at the same places among those of others, so that whoever holds
    the model's noise, or a handle, holds it still. What the model itself hangs on or takes off
    meanwhile stays so.
    """
    installation = installation_of(model)
    attributes = {name: model.__dict__.pop(name, None) for name in (INSTALLATION, ATTRIBUTE)}
    attachments = _all_attachments(installation)
    states = [_state_of(attachment) for attachment in attachments]
    restorers = [attachment.restorer() for attachment in attachments]
    handles = [] if installation is None else list(installation.handles)
    handles += [handle for attachment in attachments for handle in attachment.handles]
    hooks = DetachedHooks(handles)
    for attachment in reversed(installation.attachments if installation is not None else ()):
        attachment.detach()
    clock = _buffers_of_clock(model)
    try:
        yield
    finally:
        for attachment, state in zip(attachments, states, strict=True):
            vars(attachment).update(state)
        hooks.reattach()
        for restore in restorers:
            restore()
        for name, value in attributes.items():
            if value is not None:
                model.__dict__[name] = value
        _put_back(model, clock)


def _state_of(attachment: Attachment) -> dict[str, Any]:
    return dict(vars(attachment)) | {"handles": list(attachment.handles)}


def _buffers_of_clock(model: nn.Module) -> list[tuple[str, Tensor | None]]:
    """The root's buffers from the first of the clock's, which comes off with the plan."""
    names = list(model._buffers)
    if STEP not in names:
        return []
    rest = [(name, model._buffers[name]) for name in names[names.index(STEP) :]]
    unregister(model)
    return rest


def _put_back(model: nn.Module, rest: list[tuple[str, Tensor | None]]) -> None:
    for name, tensor in rest:
        if name in (STEP, CALL):
            model.register_buffer(name, tensor, persistent=False)
        elif name in model._buffers:
            model._buffers[name] = model._buffers.pop(name)


def _all_attachments(installation: Installation | None) -> list[Attachment]:
    attachments: list[Attachment] = []
    waiting = list(installation.attachments) if installation is not None else []
    while waiting:
        attachment = waiting.pop()
        attachments.append(attachment)
        waiting += [part for part in vars(attachment).values() if isinstance(part, Attachment)]
    return attachments
