"""A small vision Transformer, the layers of Dosovitskiy et al. (2021), untrained."""

from typing import Any

from torch import Tensor

from dropsmith.errors import MissingExtra
from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, Gaussian, Pattern, StochasticDepth
from dropsmith.plans import Plan, Rule, rule


class SmallViT(DescribedModel):
    """Scores of classes for a batch of images, cut into patches.

    >>> import torch
    >>> SmallViT(channels=1, size=8, classes=10, width=16)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])

    Args:
        channels: colours of an image.
        size: its height and width in pixels.
        classes: how many scores to return.
        patch: height and width of a patch in pixels.
        width: units of a patch.
        heads: how many ways each layer attends.
        layers: how many layers.

    Raises:
        MissingExtra: transformers is not installed.
    """

    def __init__(
        self,
        *,
        channels: int,
        size: int,
        classes: int,
        patch: int = 4,
        width: int = 96,
        heads: int = 4,
        layers: int = 4,
    ) -> None:
        super().__init__()
        try:
            import transformers as library
        except ImportError:
            needs = "the small vision Transformer"
            raise MissingExtra(needs, "transformers", "transformers") from None
        config = library.ViTConfig(
            num_channels=channels,
            image_size=size,
            patch_size=patch,
            hidden_size=width,
            num_attention_heads=heads,
            num_hidden_layers=layers,
            intermediate_size=2 * width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        config.num_labels = classes
        self.net: Any = library.ViTForImageClassification(config)

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        return self.net(pixel_values=2 * image - 1).logits


_BRANCHES = ("net.vit.layers.*.attention.o_proj", "net.vit.layers.*.mlp.fc2")


def _everywhere(pattern: Pattern) -> tuple[Rule, ...]:
    places = ("net.vit.embeddings.dropout", *_BRANCHES)
    return tuple(rule(place, pattern) for place in places)


_PLACES: NoiseTable = {
    "dropout": lambda rate: _everywhere(Bernoulli(rate=rate)),
    "gaussian": lambda rate: _everywhere(Gaussian(rate=rate)),
    "path": lambda rate: tuple(rule(branch, StochasticDepth(rate=rate)) for branch in _BRANCHES),
}

VIT_NOISES = tuple(_PLACES)


def vit_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallViT`.

    >>> vit_plan("path", 0.1).rules[0]
    rule('net.vit.layers.*.attention.o_proj', StochasticDepth(rate=0.1))

    Args:
        noise: `dropout` or `gaussian` on the patches and on both branches of every layer; `path`
            (whole branches, image by image).
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallViT")
