"""Small models without noise of their own, and where a plan may put noise in them."""

from dropsmith.models._scores import Scores, layers_first, rows_first
from dropsmith.models.adaptive_lm import AdaptiveLM, adaptive_plan
from dropsmith.models.any_model import AnyModel
from dropsmith.models.recurrent_lm import RecurrentLM, RecurrentScores
from dropsmith.models.recurrent_plans import (
    awd_plan,
    fraternal_plan,
    naive_plan,
    variational_plan,
)
from dropsmith.models.small_conv import SmallConv, conv_plan
from dropsmith.models.small_lstm import SmallLSTM, lstm_plan
from dropsmith.models.small_regressor import SmallRegressor, regressor_plan
from dropsmith.models.small_transformer import SmallTransformer, transformer_plan
from dropsmith.models.transformer_xl import TransformerXL, xl_plan
from dropsmith.models.wide_resnet import WideResNet, wide_plan

__all__ = [
    "AdaptiveLM",
    "AnyModel",
    "RecurrentLM",
    "RecurrentScores",
    "Scores",
    "SmallConv",
    "SmallLSTM",
    "SmallRegressor",
    "SmallTransformer",
    "TransformerXL",
    "WideResNet",
    "adaptive_plan",
    "awd_plan",
    "conv_plan",
    "fraternal_plan",
    "layers_first",
    "lstm_plan",
    "naive_plan",
    "regressor_plan",
    "rows_first",
    "transformer_plan",
    "variational_plan",
    "wide_plan",
    "xl_plan",
]
