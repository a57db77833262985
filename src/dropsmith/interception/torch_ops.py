"""The torch calls that draw noise, and their arguments by name."""

import types as python_types
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

DROPOUTS = (F.dropout, torch.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout,
            F.feature_alpha_dropout)  # fmt: skip


RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


ATTENTION = F.scaled_dot_product_attention


MULTI_HEAD = F.multi_head_attention_forward


def multi_head_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `F.multi_head_attention_forward` by name."""
    return dict(zip(MULTI_HEAD.__code__.co_varnames, args, strict=False)) | dict(kwargs)


unguarded = python_types.FunctionType(
    MULTI_HEAD.__code__,
    {**MULTI_HEAD.__globals__, "has_torch_function": lambda tensors: False},
    MULTI_HEAD.__name__,
    MULTI_HEAD.__defaults__,
)
unguarded.__kwdefaults__ = MULTI_HEAD.__kwdefaults__
