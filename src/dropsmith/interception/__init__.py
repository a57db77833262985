"""Interception: the calls and modules of a running forward, as they are seen and replaced."""

from dropsmith.interception.attachment import Attachment, DetachedHooks
from dropsmith.interception.attention import attend, probabilities
from dropsmith.interception.checkpointing import CallPosition
from dropsmith.interception.module_trace import watched
from dropsmith.interception.own_calls import CallMode, OwnCalls, Torch
from dropsmith.interception.torch_ops import (
    ATTENTION,
    DROPOUTS,
    MULTI_HEAD,
    RECURRENT,
    multi_head_arguments,
    unguarded,
)

__all__ = [
    "ATTENTION",
    "DROPOUTS",
    "MULTI_HEAD",
    "RECURRENT",
    "Attachment",
    "CallMode",
    "CallPosition",
    "DetachedHooks",
    "OwnCalls",
    "Torch",
    "attend",
    "multi_head_arguments",
    "probabilities",
    "unguarded",
    "watched",
]
