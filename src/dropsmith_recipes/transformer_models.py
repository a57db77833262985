"""The models of the recipes on Transformers: functions of the data, so that a setup names them."""

from torch import nn

from dropsmith.models import AdaptiveLM, SmallGPT, SmallSeq2Seq
from dropsmith.tasks import MAX_TEXT_TOKENS, Data

WINDOW = 512
"""Words that the language models look back on."""


def positions(data: Data) -> int:
    """Tokens of a text that a translator can read: the usual number, or those of longer data."""
    parts = (data.train, data.validation, data.test)
    widths = [tensor.shape[1] for part in parts for tensor in part.tensors().values()]
    return max(MAX_TEXT_TOKENS, *widths)


def translator(data: Data) -> nn.Module:
    """Six layers a side of 512, 1,024 inside, four heads: fairseq's `transformer_iwslt_de_en`."""
    return SmallSeq2Seq(
        words=data.classes, width=512, heads=4, layers=6, inner=1_024, longest=positions(data)
    )


def big_translator(data: Data) -> nn.Module:
    """Six layers a side of 1,024 and 4,096 inside, 16 heads: Vaswani et al.'s (2017) big model."""
    return SmallSeq2Seq(
        words=data.classes, width=1_024, heads=16, layers=6, longest=positions(data)
    )


def small_translator(data: Data) -> nn.Module:
    """Their shape for CPU minutes: two layers a side of 128."""
    return SmallSeq2Seq(words=data.classes, longest=positions(data))


def language_model(data: Data) -> nn.Module:
    """Twelve layers of 768 and 3,072 inside, twelve heads: fairseq's `transformer_lm_gpt`."""
    return SmallGPT(words=data.classes, window=WINDOW, width=768, heads=12, layers=12)


def small_language_model(data: Data) -> nn.Module:
    """Its shape for CPU minutes: two layers of 128."""
    return SmallGPT(words=data.classes, window=WINDOW)


def adaptive_language_model(data: Data) -> nn.Module:
    """Sixteen layers of 1,024 and 4,096 inside, eight heads: fairseq's `transformer_lm_wiki103`.

    The 20,000 commonest words have vectors of 1,024 units, 40,000 more of 256, the rest of 64.
    """
    return AdaptiveLM(
        words=data.classes, width=1_024, heads=8, layers=16, inner=4_096, cutoffs=(20_000, 60_000)
    )


def small_adaptive_language_model(data: Data) -> nn.Module:
    """Its shape for CPU minutes: two layers of 128, and about the same shares of the words."""
    words = data.classes
    return AdaptiveLM(
        words=words, width=128, heads=4, layers=2, inner=512, cutoffs=(words // 13, words // 4)
    )
