"""Wide residual networks for small images (Zagoruyko & Komodakis, 2016): WRN-28-10 and its kin.

A block normalises before it convolves (He et al., 2016), so a mask on a normalised map is on a
branch and never on the sum that all blocks share. The shortcut is a module of its own, so that a
plan can put the same mask on both sides of the sum.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, DropBlock, Gaussian, Pattern, StochasticDepth
from dropsmith.plans import Plan, Rule, rule

STEM = 16
"""Channels of the first convolution, and of the first stage before it is widened."""

STAGES = 3


class WideResNet(DescribedModel):
    """Scores of classes for a batch of small images.

    Its modules, for plans: `stem`; in each block `stages.<stage>.<block>` first `norm1`, `conv1`,
    then `norm2`, `conv2`, and beside them `shortcut`, whose output has the shape of that of
    `norm2` and `conv2`; then `norm` and `head`.

    Rows of a batch meet in its BatchNorm: several views that run stacked are normalised together.

    >>> model = WideResNet(depth=10, width=1, classes=10)
    >>> model(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> sum(parameter.numel() for parameter in model.parameters())
    77850

    Args:
        depth: how many convolutions there are, 6n + 4: the stem, two in each of the n blocks of
            three stages, and a projection for each stage.
        width: by how much the stages are wider than 16, 32 and 64 channels.
        classes: how many scores to return.
        channels: colours of an image.
        stride: of the first convolution. 1 in the paper; 2 makes every map a quarter as large, and
            a step about four times as fast.

    Raises:
        TaskError: there is no network of that depth, or the width or stride is less than 1.
    """

    def __init__(
        self, *, depth: int, width: int, classes: int, channels: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        blocks = _blocks(depth, width, stride)
        self.stem = nn.Conv2d(channels, STEM, 3, stride, padding=1, bias=False)
        self.stages = nn.ModuleList()
        entering = STEM
        for stage in range(STAGES):
            leaving = width * STEM * 2**stage
            self.stages.append(_stage(blocks, entering, leaving, stride=1 if stage == 0 else 2))
            entering = leaving
        self.norm = nn.BatchNorm2d(entering)
        self.head = nn.Linear(entering, classes)
        self._draw()

    def _draw(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[batch, classes]` of images `[batch, channels, height, width]`."""
        # On a CPU this layout saves a seventh to a third of a step, and no mask changes by it.
        x = self.stem(image.contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            x = stage(x)
        return self.head(F.relu(self.norm(x)).mean((2, 3)))


def _blocks(depth: int, width: int, stride: int) -> int:
    """The number of blocks of each stage."""
    blocks, rest = divmod(depth - 4, 2 * STAGES)
    if rest or blocks < 1:
        nearest = 4 + 2 * STAGES * max(1, round((depth - 4) / (2 * STAGES)))
        raise TaskError(
            f"no wide residual network is {depth} deep: depths are 6n + 4\n"
            f"  there are 10, 16, 22, 28, 34, 40, …; nearest: {nearest}"
        )
    if width < 1 or stride < 1:
        raise TaskError(f"width and stride are 1 or more, got width={width} and stride={stride}")
    return blocks


def _stage(blocks: int, entering: int, leaving: int, stride: int) -> nn.Sequential:
    first = _Block(entering, leaving, stride)
    return nn.Sequential(first, *(_Block(leaving, leaving, 1) for _ in range(blocks - 1)))


class _Block(nn.Module):
    """Two convolutions of normalised maps, added to what entered or to a projection of it."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(entering)
        self.conv1 = nn.Conv2d(entering, leaving, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(leaving)
        self.conv2 = nn.Conv2d(leaving, leaving, 3, padding=1, bias=False)
        self.projects = entering != leaving or stride > 1
        self.shortcut = (
            nn.Conv2d(entering, leaving, 1, stride, bias=False)
            if self.projects
            else IdentityShortcut()
        )

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        branch = self.conv2(F.relu(self.norm2(self.conv1(active))))
        # As in the authors' code: a projection sees the normalised map, an identity the raw one.
        return branch + self.shortcut(active if self.projects else x)


class IdentityShortcut(nn.Module):
    """The shortcut of a block that keeps its shape: a place for noise, and nothing else."""

    output_axes = ("batch", "channel", "height", "width")

    def forward(self, x: Tensor) -> Tensor:
        return x


def _inside(pattern: Pattern) -> tuple[Rule, ...]:
    return (rule("stages.*.*.norm2", pattern),)


_PLACES: NoiseTable = {
    "dropout": lambda rate: _inside(Bernoulli(rate=rate)),
    "spatial": lambda rate: _inside(Bernoulli(rate=rate, shared="height width")),
    "blocks": lambda rate: _inside(DropBlock(rate=rate, size=3)),
    "gaussian": lambda rate: _inside(Gaussian(rate=rate)),
    "path": lambda rate: (rule("stages.*.*.conv2", StochasticDepth(rate=rate)),),
}

WIDE_NOISES = tuple(_PLACES)


def wide_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `WideResNet`.

    Between the convolutions of a block, as in the paper: a mask before a ReLU is one after it.

    >>> wide_plan("dropout", 0.3).rules
    (rule('stages.*.*.norm2', Bernoulli(rate=0.3)),)

    Args:
        noise: `dropout`, `gaussian`, `spatial` (whole channels) or `blocks` (3 × 3 pixels) between
            the two convolutions of every block; `path` (whole branches, image by image).
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "WideResNet")
