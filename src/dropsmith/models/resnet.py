"""Residual networks for photographs (He et al., 2016), the layers of transformers, untrained."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dropsmith.errors import MissingExtra
from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, DropBlock, Gaussian, Pattern
from dropsmith.plans import Plan, Rule, rule


class ResNet(DescribedModel):
    """Scores of classes for a batch of photographs: ResNet-50 where nothing else is asked for.

    Rows of a batch meet in its BatchNorm: several views that run stacked are normalised together.

    >>> import torch
    >>> net = ResNet(classes=10, widths=(16, 32), depths=(1, 1), stem=8)
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])

    Args:
        classes: how many scores to return.
        widths: channels that leave each stage; its bottlenecks have a quarter.
        depths: blocks of each stage.
        stem: channels of the first convolution.
        channels: colours of an image.

    Raises:
        MissingExtra: transformers is not installed.
    """

    def __init__(
        self,
        *,
        classes: int,
        widths: Sequence[int] = (256, 512, 1024, 2048),
        depths: Sequence[int] = (3, 4, 6, 3),
        stem: int = 64,
        channels: int = 3,
    ) -> None:
        super().__init__()
        try:
            import transformers as library
        except ImportError:
            raise MissingExtra("the residual network", "transformers", "transformers") from None
        config = library.ResNetConfig(
            num_channels=channels,
            embedding_size=stem,
            hidden_sizes=list(widths),
            depths=list(depths),
            layer_type="bottleneck",
        )
        config.num_labels = classes
        self.net: Any = library.ResNetForImageClassification(config)

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[batch, classes]` of images `[batch, channels, height, width]`."""
        return self.net(pixel_values=image).logits


_NORMS = "net.resnet.encoder.stages.*.layers.*.layer.*.normalization"


def _everywhere(pattern: Pattern) -> tuple[Rule, ...]:
    return (rule(_NORMS, pattern),)


_PLACES: NoiseTable = {
    "dropout": lambda rate: _everywhere(Bernoulli(rate=rate)),
    "spatial": lambda rate: _everywhere(Bernoulli(rate=rate, shared="height width")),
    "blocks": lambda rate: _everywhere(DropBlock(rate=rate, size=7)),
    "gaussian": lambda rate: _everywhere(Gaussian(rate=rate)),
}

RESNET_NOISES = tuple(_PLACES)


def resnet_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `ResNet`.

    >>> resnet_plan("spatial", 0.1).rules[0].pattern
    Bernoulli(rate=0.1, shared='height width')

    Args:
        noise: `dropout`, `gaussian`, `spatial` (whole channels) or `blocks` (7 × 7 pixels, as
            DropBlock has it for ImageNet) on every normalised map of every block.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "ResNet")
