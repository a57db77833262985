"""The models of the recipes for AutoDropout, each a function of the data."""

from torch import nn

from dropsmith.models import ResNet, SmallSeq2Seq, TransformerXL, WideResNet
from dropsmith.tasks import Data
from dropsmith_recipes.transformer_models import positions


def wide_28_10(data: Data) -> nn.Module:
    """WRN-28-10: 36,479,194 parameters on ten classes."""
    return WideResNet(depth=28, width=10, classes=data.classes)


def wide_28_2(data: Data) -> nn.Module:
    """WRN-28-2, on which the paper searches: 1,467,610 parameters on ten classes."""
    return WideResNet(depth=28, width=2, classes=data.classes)


def resnet_50(data: Data) -> nn.Module:
    """ResNet-50: 25,557,032 parameters on 1,000 classes."""
    return ResNet(classes=data.classes)


def resnet_small(data: Data) -> nn.Module:
    """Its shape for CPU minutes: three stages of one block, a quarter as wide."""
    return ResNet(classes=data.classes, widths=(64, 128, 256), depths=(1, 1, 1), stem=32)


def transformer_xl_small(data: Data) -> nn.Module:
    """The Transformer-XL of the tasks: three layers of 128."""
    return TransformerXL(
        words=data.classes, width=128, heads=4, layers=3, feed=256, memory=32, norm_first=True
    )


def transformer_xl(data: Data) -> nn.Module:
    """A Transformer-XL of 24,025,360 parameters on 10,000 words; its shape is ours.

    Dai et al. (2019) report 24 million for the Penn Treebank, and no shape.
    """
    return TransformerXL(
        words=data.classes, width=400, heads=10, layers=12, feed=1_080, memory=150, norm_first=True
    )


def translator(data: Data) -> nn.Module:
    """Vaswani et al.'s (2017) base model: six layers a side of 512, 2,048 inside, eight heads."""
    return SmallSeq2Seq(words=data.classes, width=512, heads=8, layers=6, longest=positions(data))
