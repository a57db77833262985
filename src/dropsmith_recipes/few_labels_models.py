"""The models of the recipes on few labels, each a function of the data."""

from torch import nn

from dropsmith.models import SmallResNet
from dropsmith.tasks import Data


def resnet_56(data: Data) -> nn.Module:
    """ResNet-56 for small images: 853,018 parameters on ten classes."""
    return SmallResNet(depth=56, classes=data.classes)


def resnet_8(data: Data) -> nn.Module:
    """Its shape for CPU minutes: one block a stage."""
    return SmallResNet(depth=8, classes=data.classes)
