"""Residual networks for small images (He et al., 2016, section 4.2): ResNet-20 to ResNet-110."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.models.described import DescribedModel

WIDTHS = (16, 32, 64)
"""Channels of the three stages."""

SMALL_RESNET_PLACES = "stages.*.*.norm1"
"""The places between the two convolutions of each block, where noise goes."""


class SmallResNet(DescribedModel):
    """Scores of classes for a batch of small images.

    Its modules, for plans: `stem` and `norm`; in each block `stages.<stage>.<block>` first `conv1`,
    `norm1`, then `conv2`, `norm2`; then `head`. A shortcut to a wider stage repeats no weights: it
    takes every second pixel, and adds channels of zeros.

    >>> model = SmallResNet(depth=20, classes=10)
    >>> model(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> sum(parameter.numel() for parameter in model.parameters())
    269722

    Args:
        depth: how many layers with weights there are, 6n + 2: the first, two in each of the n
            blocks of three stages, and the head.
        classes: how many scores to return.
        channels: colours of an image.

    Raises:
        TaskError: there is no network of that depth.
    """

    def __init__(self, *, depth: int, classes: int, channels: int = 3) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise TaskError(
                f"no residual network for small images is {depth} deep: depths are 6n + 2\n"
                "  there are 8, 14, 20, 26, 32, 38, 44, 50, 56, …"
            )
        self.stem = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        self.stages = nn.ModuleList()
        entering = WIDTHS[0]
        for leaving in WIDTHS:
            first = _Block(entering, leaving)
            self.stages.append(
                nn.Sequential(first, *(_Block(leaving, leaving) for _ in range(blocks - 1)))
            )
            entering = leaving
        self.head = nn.Linear(entering, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[batch, classes]` of images `[batch, channels, height, width]`."""
        x = F.relu(self.norm(self.stem(image.contiguous(memory_format=torch.channels_last))))
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean((2, 3)))


class _Block(nn.Module):
    """Two convolutions, each normalised, added to what entered."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.stride = 1 if entering == leaving else 2
        self.wider = leaving - entering
        self.conv1 = nn.Conv2d(entering, leaving, 3, self.stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(leaving)
        self.conv2 = nn.Conv2d(leaving, leaving, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(leaving)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.wider:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.wider))
        return F.relu(branch + x)
