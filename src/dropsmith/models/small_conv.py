"""A few convolutions and a hidden layer: an image classifier that trains in seconds on one core."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, DropBlock, Gaussian
from dropsmith.plans import Plan, rule

SMALLEST = 4
"""Maps are halved after a convolution while they are larger than this."""


class SmallConv(DescribedModel):
    """Scores of classes for a batch of images.

    It has no BatchNorm: several views of a batch may run stacked, and their rows must not meet.

    >>> import torch
    >>> model = SmallConv(channels=1, size=8, classes=10)
    >>> model(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])

    Args:
        channels: colours of an image.
        size: its height and width in pixels, where they differ as two numbers.
        classes: how many scores to return.
        widths: channels of each 3 × 3 convolution.
        hidden: units of the layer before the scores.
    """

    def __init__(
        self,
        *,
        channels: int,
        size: int | Sequence[int],
        classes: int,
        widths: Sequence[int] = (32, 64),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        high, wide = (size, size) if isinstance(size, int) else size
        for width in widths:
            self.convs.append(nn.Conv2d(channels, width, 3, padding=1))
            channels = width
            if min(high, wide) > SMALLEST:
                high, wide = high // 2, wide // 2
        self.hidden = nn.Linear(channels * high * wide, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        x = image
        for conv in self.convs:
            x = F.relu(conv(x))
            x = F.max_pool2d(x, 2) if min(x.shape[-2:]) > SMALLEST else x
        return self.head(F.relu(self.hidden(x.flatten(1))))


_PLACES: NoiseTable = {
    "dropout": lambda rate: (
        rule("hidden.input", Bernoulli(rate=rate)),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "spatial": lambda rate: (rule("convs.*", Bernoulli(rate=rate, shared="height width")),),
    "blocks": lambda rate: (rule("convs.*", DropBlock(rate=rate, size=3)),),
    "gaussian": lambda rate: (
        rule("hidden.input", Gaussian(rate=rate)),
        rule("head.input", Gaussian(rate=rate)),
    ),
}

CONV_NOISES = tuple(_PLACES)


def conv_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallConv`.

    >>> conv_plan("spatial", 0.2).rules
    (rule('convs.*', Bernoulli(rate=0.2, shared='height width')),)

    Args:
        noise: `dropout` or `gaussian` before the two fully connected layers, `spatial` (whole
            channels) or `blocks` (3 × 3 pixels) on the convolutions.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallConv")
