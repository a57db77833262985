"""A model's plan taken off for a while and put back as it was: hooks, their order, rates, noise."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from dropsmith.interception import Attachment, DetachedHooks
from dropsmith.noise.clock import CALL, STEP, unregister
from dropsmith.noise.lookup import INSTALLED, Installation, installation_of
from dropsmith.noise.state import ATTRIBUTE


@contextmanager
def plan_suspended(model: nn.Module) -> Iterator[None]:
    """The model without its plan and its noise for the length of a `with` block.

    The very same hooks come back at the same places among those of others, so that whoever holds
    the model's noise, or a handle, holds it still. What the model itself hangs on or takes off
    meanwhile stays so.
    """
    installation = installation_of(model)
    own = {name: model.__dict__.pop(name, None) for name in (INSTALLED, ATTRIBUTE)}
    attached = _all_attachments(installation)
    states = [(one, dict(vars(one)) | {"handles": list(one.handles)}) for one in attached]
    returning = [one.restorer() for one in attached]
    handles = [] if installation is None else list(installation.handles)
    hooks = DetachedHooks(handles + [handle for one in attached for handle in one.handles])
    for one in reversed(installation.attachments if installation is not None else ()):
        one.detach()
    clock = _buffers_of_clock(model)
    try:
        yield
    finally:
        for one, state in states:
            vars(one).update(state)
        hooks.reattach()
        for back in returning:
            back()
        model.__dict__.update({name: value for name, value in own.items() if value is not None})
        _put_back(model, clock)


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
    found: list[Attachment] = []
    waiting = list(installation.attachments) if installation is not None else []
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += [part for part in vars(one).values() if isinstance(part, Attachment)]
    return found
