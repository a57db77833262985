"""Small models without noise of their own, and where a plan may put noise in them."""

from dropsmith.models.any_model import AnyModel
from dropsmith.models.small_conv import SmallConv, conv_plan
from dropsmith.models.small_lstm import SmallLSTM, lstm_plan
from dropsmith.models.small_transformer import SmallTransformer, transformer_plan

__all__ = [
    "AnyModel",
    "SmallConv",
    "SmallLSTM",
    "SmallTransformer",
    "conv_plan",
    "lstm_plan",
    "transformer_plan",
]
