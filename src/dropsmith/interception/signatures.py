"""The table of the torch functions that draw noise, and the arguments each takes.

One entry makes a torch function visible to `sites`, plans, `audit`, `predict`, taps and the reader
of blocks; functions that are not in the table are visible to none of them.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
import torch.nn.functional as F

from dropsmith.interception.flex_attention import FLEX
from dropsmith.plans import Kind

Torch = Callable[..., Any]


Operation = Literal[
    "dropout",
    "channel dropout",
    "alpha dropout",
    "channel alpha dropout",
    "attention",
    "multi-head attention",
    "flex attention",
    "recurrent",
]


@final
@dataclass(frozen=True)
class Signature:
    """A torch function that draws noise, and the arguments it takes.

    Args:
        operation: a word for the computation.
        kind: the kind of its sites: `attention`, `between` or `functional`.
        names: its arguments in order; the first is the input tensor.
        defaults: the default values of arguments.
        rate: the name of the argument with the rate; empty if there is none.
        training: the name of the training flag; empty if the function drops at any rate above zero.
        inplace: whether it always changes its input.
    """

    operation: Operation
    kind: Kind
    names: tuple[str, ...]
    defaults: Mapping[str, Any]
    rate: str = "p"
    training: str = "training"
    inplace: bool = False


def _dropout(operation: Operation = "dropout", training: bool = True) -> Signature:
    names = ("input", "p", "training", "inplace")
    defaults = {"p": 0.5, "training": training, "inplace": False}
    return Signature(operation, "functional", names, defaults)


def _builtin(operation: Operation, inplace: bool = False) -> Signature:
    names = ("input", "p", "train")
    return Signature(operation, "functional", names, {}, training="train", inplace=inplace)


def _recurrent(*leading: str) -> Signature:
    names = (*leading, "hx", "params", "has_biases", "num_layers", "dropout", "train")
    names += ("bidirectional",) if "batch_sizes" in leading else ("bidirectional", "batch_first")
    return Signature("recurrent", "between", names, {}, "dropout", "train")


_FUSED = Signature(
    "attention",
    "attention",
    ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
    {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False},
    rate="dropout_p",
    training="",
)


_HEADS = inspect.signature(F.multi_head_attention_forward).parameters.values()


_MULTI_HEAD = Signature(
    "multi-head attention",
    "attention",
    tuple(parameter.name for parameter in _HEADS),
    {
        parameter.name: parameter.default
        for parameter in _HEADS
        if parameter.default is not inspect.Parameter.empty
    },
    rate="dropout_p",
)


_FLEX = Signature(
    "flex attention",
    "attention",
    ("query", "key", "value", "score_mod", "block_mask", "scale", "kernel_options",
     "score_mod_other_buffers", "mask_mod_other_buffers"),
    {"score_mod_other_buffers": (), "mask_mod_other_buffers": ()},
    rate="",
    training="",
)  # fmt: skip


_PADDED = _recurrent("input")


PACKED = _recurrent("data", "batch_sizes")


SIGNATURES: dict[Torch, Signature] = {
    F.dropout: _dropout(),
    F.dropout1d: _dropout("channel dropout"),
    F.dropout2d: _dropout("channel dropout"),
    F.dropout3d: _dropout("channel dropout"),
    F.alpha_dropout: _dropout("alpha dropout", training=False),
    F.feature_alpha_dropout: _dropout("channel alpha dropout", training=False),
    torch.dropout: _builtin("dropout"),
    torch.dropout_: _builtin("dropout", inplace=True),
    torch.feature_dropout: _builtin("channel dropout"),
    torch.feature_dropout_: _builtin("channel dropout", inplace=True),
    torch.alpha_dropout: _builtin("alpha dropout"),
    torch.alpha_dropout_: _builtin("alpha dropout", inplace=True),
    torch.feature_alpha_dropout: _builtin("channel alpha dropout"),
    torch.feature_alpha_dropout_: _builtin("channel alpha dropout", inplace=True),
    F.scaled_dot_product_attention: _FUSED,
    F.multi_head_attention_forward: _MULTI_HEAD,
    FLEX: _FLEX,
    torch.lstm: _PADDED,
    torch.gru: _PADDED,
    torch.rnn_tanh: _PADDED,
    torch.rnn_relu: _PADDED,
}
"""The table: every torch function that draws noise."""
