"""Interception of the calls and modules of a running forward pass."""

from dropsmith.interception.attachment import Attachment, DetachedHooks
from dropsmith.interception.attention import attend, attention_sizes, probabilities, run_heads
from dropsmith.interception.checkpointing import CallPosition
from dropsmith.interception.flex_attention import SeesFlex
from dropsmith.interception.module_trace import ModuleTrace, fast_path_disabled, has_compiled_parts
from dropsmith.interception.own_calls import CallMode, OwnCalls
from dropsmith.interception.signatures import Torch
from dropsmith.interception.torch_ops import NoisyCall, decode

__all__ = [
    "Attachment",
    "CallMode",
    "CallPosition",
    "DetachedHooks",
    "ModuleTrace",
    "NoisyCall",
    "OwnCalls",
    "SeesFlex",
    "Torch",
    "attend",
    "attention_sizes",
    "decode",
    "fast_path_disabled",
    "has_compiled_parts",
    "probabilities",
    "run_heads",
]
