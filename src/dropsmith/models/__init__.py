"""Small models without dropout, and the plans that put noise into them."""

from dropsmith.models import show_and_tell, small_seq2seq
from dropsmith.models.adaptive_lm import AdaptiveLM, adaptive_plan
from dropsmith.models.described import DescribedModel, StoredModel
from dropsmith.models.noise_tables import AnyModel
from dropsmith.models.pretrained import (
    PRETRAINED_NOISES,
    PretrainedClassifier,
    check_tokens,
    load_pretrained,
    pretrained_faults,
    pretrained_plan,
    pretrained_upper_half,
    transformers_library,
    upper_half,
)
from dropsmith.models.pretrained_images import (
    PRETRAINED_IMAGE_NOISES,
    PretrainedImages,
    pretrained_image_plan,
    pretrained_image_size,
)
from dropsmith.models.pretrained_mixed import (
    PRETRAINED_MIXED_NOISES,
    PretrainedMixed,
    pretrained_mixed_plan,
)
from dropsmith.models.pretrained_writer import (
    WRITER_NOISES,
    PretrainedWriter,
    writer_family,
    writer_plan,
)
from dropsmith.models.recurrent_lm import RecurrentLM, RecurrentScores
from dropsmith.models.recurrent_plans import (
    awd_plan,
    fraternal_plan,
    naive_plan,
    variational_plan,
)
from dropsmith.models.resnet import RESNET_NOISES, ResNet, resnet_plan
from dropsmith.models.show_and_tell import CAPTION_NOISES, ShowAndTell, caption_plan
from dropsmith.models.small_conv import CONV_NOISES, SmallConv, conv_plan
from dropsmith.models.small_gpt import GPT_NOISES, SmallGPT, gpt_plan
from dropsmith.models.small_lstm import (
    LSTM_NOISES,
    Scores,
    SmallLSTM,
    layers_first,
    lstm_plan,
    rows_first,
)
from dropsmith.models.small_mixed import MIXED_NOISES, SmallMixed, mixed_plan
from dropsmith.models.small_mlp import MLP_NOISES, SmallMLP, mlp_plan
from dropsmith.models.small_regressor import REGRESSOR_NOISES, SmallRegressor, regressor_plan
from dropsmith.models.small_resnet import SMALL_RESNET_PLACES, SmallResNet
from dropsmith.models.small_seq2seq import SEQ2SEQ_NOISES, SmallSeq2Seq, seq2seq_plan
from dropsmith.models.small_transformer import (
    TRANSFORMER_NOISES,
    SmallTransformer,
    transformer_plan,
)
from dropsmith.models.small_vit import VIT_NOISES, SmallViT, vit_plan
from dropsmith.models.stored_models import build_described, describe_model
from dropsmith.models.stored_pretrained import (
    CONFIGURATION_FILES,
    PretrainedModel,
    build_pretrained,
    save_configuration,
)
from dropsmith.models.transformer_xl import XL_NOISES, TransformerXL, xl_plan
from dropsmith.models.wide_resnet import WIDE_NOISES, WideResNet, wide_plan

__all__ = [
    "CAPTION_NOISES",
    "CONFIGURATION_FILES",
    "CONV_NOISES",
    "GPT_NOISES",
    "LSTM_NOISES",
    "MIXED_NOISES",
    "MLP_NOISES",
    "PRETRAINED_IMAGE_NOISES",
    "PRETRAINED_MIXED_NOISES",
    "PRETRAINED_NOISES",
    "REGRESSOR_NOISES",
    "RESNET_NOISES",
    "SEQ2SEQ_NOISES",
    "SMALL_RESNET_PLACES",
    "TRANSFORMER_NOISES",
    "VIT_NOISES",
    "WIDE_NOISES",
    "WRITER_NOISES",
    "XL_NOISES",
    "AdaptiveLM",
    "AnyModel",
    "DescribedModel",
    "PretrainedClassifier",
    "PretrainedImages",
    "PretrainedMixed",
    "PretrainedModel",
    "PretrainedWriter",
    "RecurrentLM",
    "RecurrentScores",
    "ResNet",
    "Scores",
    "ShowAndTell",
    "SmallConv",
    "SmallGPT",
    "SmallLSTM",
    "SmallMLP",
    "SmallMixed",
    "SmallRegressor",
    "SmallResNet",
    "SmallSeq2Seq",
    "SmallTransformer",
    "SmallViT",
    "StoredModel",
    "TransformerXL",
    "WideResNet",
    "adaptive_plan",
    "awd_plan",
    "build_described",
    "build_pretrained",
    "caption_plan",
    "check_tokens",
    "conv_plan",
    "describe_model",
    "fraternal_plan",
    "gpt_plan",
    "layers_first",
    "load_pretrained",
    "lstm_plan",
    "mixed_plan",
    "mlp_plan",
    "naive_plan",
    "pretrained_faults",
    "pretrained_image_plan",
    "pretrained_image_size",
    "pretrained_mixed_plan",
    "pretrained_plan",
    "pretrained_upper_half",
    "regressor_plan",
    "resnet_plan",
    "rows_first",
    "save_configuration",
    "seq2seq_plan",
    "show_and_tell",
    "small_seq2seq",
    "transformer_plan",
    "transformers_library",
    "upper_half",
    "variational_plan",
    "vit_plan",
    "wide_plan",
    "writer_family",
    "writer_plan",
    "xl_plan",
]
