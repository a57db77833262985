"""Pretrained models of images by name, such as vision Transformers, returning scores alone."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dropsmith.errors import TaskError
from dropsmith.models.image_processor import ImageProcessor
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
        TaskError: the Hub cannot be reached or has no such model, or its image processor is damaged
            or does more to pixels than to scale them.
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
        self._scale_by(ImageProcessor.load(checkpoint), checkpoint)

    @classmethod
    def around(cls, net: Any, processor: ImageProcessor, place: str) -> "PretrainedImages":
        """The same around a model of transformers that is there already.

        Args:
            net: the model.
            processor: of the images that it was trained on.
            place: of both, for messages.
        """
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model.net = without_noise(net)
        model._scale_by(processor, place)
        return model

    def _scale_by(self, processor: ImageProcessor, place: str) -> None:
        mean, deviation = torch.tensor(processor.mean), torch.tensor(processor.deviation)
        self.register_buffer("mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("deviation", deviation.view(-1, 1, 1), persistent=False)
        # Convolutional networks take any size, and some leave it to their processor.
        self.size = _size(self.net.config, processor)
        if self.size is None:
            raise TaskError(
                f"neither the configuration of {place!r} nor its image processor says a size\n"
                "  write image_size, in pixels, into its config.json"
            )

    @property
    def processor(self) -> ImageProcessor:
        """The size and the colours that images are brought to."""
        assert self.size is not None
        height, width = (self.size,) * 2 if isinstance(self.size, int) else self.size
        mean, deviation = self.mean.flatten().tolist(), self.deviation.flatten().tolist()
        return ImageProcessor(tuple(mean), tuple(deviation), (int(height), int(width)))

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        pixels = interpolate(image, size=self.size, mode="bicubic", antialias=True).clamp(0, 1)
        return self.net(pixel_values=(pixels - self.mean) / self.deviation).logits


def pretrained_image_size(checkpoint: str) -> tuple[int, int] | None:
    """Height and width in pixels of the images that a model was trained on; no weights are read.

    None where neither its configuration nor its image processor says so.

    Raises:
        TaskError: the Hub cannot be reached or has no such model, or its processor cannot be used.
        MissingExtra: transformers is not installed.
    """
    fetch = transformers_library(checkpoint).AutoConfig.from_pretrained
    size: Any = _size(load_pretrained(checkpoint, fetch), ImageProcessor.load(checkpoint))
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _size(config: Any, processor: ImageProcessor) -> Any:
    return getattr(config, "image_size", None) or processor.size


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
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "a pretrained model of images")
