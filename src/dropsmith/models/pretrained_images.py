"""Pretrained models of images by name, such as vision Transformers, returning scores alone."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.models.pretrained import load_pretrained, transformers_library, without_noise
from dropsmith.patterns import Bernoulli, Gaussian
from dropsmith.plans import Plan, rule, select


class PretrainedImages(nn.Module):
    """A pretrained model of images with a new head, without noise of its own.

    Images of any size are brought to the model's own and to the mean and deviation of colours
    that it was trained on.

    Args:
        checkpoint: a name on the Hub such as `google/vit-base-patch16-224`, or a folder with its
            files.
        classes: how many scores to return.

    Raises:
        TaskError: the Hub cannot be reached or has no such model.
        MissingExtra: transformers is not installed.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, checkpoint: str, classes: int) -> None:
        super().__init__()
        library_class = transformers_library(checkpoint).AutoModelForImageClassification
        # A head of other classes than the checkpoint's is drawn anew.
        options = {"num_labels": classes, "ignore_mismatched_sizes": True}
        self.net: Any = without_noise(
            load_pretrained(checkpoint, library_class.from_pretrained, **options)
        )
        mean, deviation = _colours(checkpoint)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        size = self.net.config.image_size
        pixels = interpolate(image, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        return self.net(pixel_values=(pixels - self.mean) / self.deviation).logits


def _colours(checkpoint: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each colour, `[channels, 1, 1]`, from beside the weights."""
    from transformers.image_processing_base import ImageProcessingMixin

    processor, _ = load_pretrained(checkpoint, ImageProcessingMixin.get_image_processor_dict)
    return (
        torch.tensor(processor["image_mean"]).view(-1, 1, 1),
        torch.tensor(processor["image_std"]).view(-1, 1, 1),
    )


_MODULES = select(kind="dropout")

_PLACES: NoiseTable = {
    "dropout": lambda rate: (rule(_MODULES, Bernoulli(rate=rate)),),
    "gaussian": lambda rate: (rule(_MODULES, Gaussian(rate=rate)),),
}

PRETRAINED_IMAGE_NOISES = tuple(_PLACES)


def pretrained_image_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in a pretrained model of images.

    >>> pretrained_image_plan("dropout", 0.1).rules
    (rule(select('**', kind='dropout'), Bernoulli(rate=0.1)),)

    Args:
        noise: `dropout` or `gaussian` in every dropout module, and not in attention.
        rate: chance of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "a pretrained model of images")
