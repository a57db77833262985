"""The size and normalisation of a pretrained vision model, from the file beside its weights."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt, Le, Len
from typing_extensions import TypedDict

from dropsmith.errors import TaskError, excerpt
from dropsmith.files import check
from dropsmith.models.pretrained import load_pretrained

_Colours = Annotated[list[Annotated[float, Gt(-1e3), Le(1e3)]], Len(1, 4)]
_Deviations = Annotated[list[Annotated[float, Gt(1e-6), Le(1e3)]], Len(1, 4)]
_Pixels = Annotated[int, Gt(0), Le(16_384)]


class _Fields(TypedDict):
    image_mean: _Colours
    image_std: _Deviations
    do_normalize: bool
    do_rescale: bool
    rescale_factor: float
    rescale_offset: bool


_USUAL = {"do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255}
_USUAL |= {"rescale_offset": False}


class _Size(TypedDict):
    height: _Pixels
    width: _Pixels


@dataclass(frozen=True)
class ImageProcessor:
    """What is done to images in [0, 1] before a model sees them.

    Args:
        mean, deviation: of each colour, or one for all: `(image - mean) / deviation`.
        size: height and width in pixels, where the file says so.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: tuple[int, int] | None

    @classmethod
    def load(cls, checkpoint: str) -> "ImageProcessor":
        """The processor of a checkpoint.

        Raises:
            TaskError: it cannot be fetched, or does something else to pixels than this.
        """
        from transformers.image_processing_base import ImageProcessingMixin

        name = f"the image processor of {excerpt(checkpoint)}"
        values, _ = load_pretrained(checkpoint, ImageProcessingMixin.get_image_processor_dict)
        if not isinstance(values, dict):
            raise TaskError(f"{name} is no JSON object\n  {_ADVICE}")
        try:
            return cls._of(values)
        except TaskError as error:
            raise TaskError(f"{name} cannot be used: {error}\n  {_ADVICE}") from None

    def to_json(self) -> dict[str, Any]:
        """The fields of transformers' `preprocessor_config.json` that mean the same."""
        values = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "resample": _BICUBIC,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.deviation),
        }
        if self.size is not None:
            values["size"] = {"height": self.size[0], "width": self.size[1]}
        return values

    @classmethod
    def _of(cls, values: dict[str, Any]) -> "ImageProcessor":
        # A file may name a field and leave it to the class with null.
        fields = _USUAL | {k: v for k, v in values.items() if v is not None and k in _KNOWN}
        if fields["do_normalize"] is False:
            fields |= {"image_mean": [0.0], "image_std": [1.0]}
        checked = check(fields, _Fields, TaskError)
        if not checked["do_rescale"] or abs(checked["rescale_factor"] * 255 - 1) > 1e-3:
            raise TaskError("it does not bring pixels of 0 to 255 to 0 to 1")
        if checked["rescale_offset"]:
            raise TaskError("it moves pixels by an offset")
        mean, deviation = checked["image_mean"], checked["image_std"]
        if len(mean) != len(deviation):
            raise TaskError(f"it has {len(mean)} means of colours and {len(deviation)} deviations")
        return cls(tuple(mean), tuple(deviation), _size(values))


_BICUBIC = 3
"""Pillow's number of the way of scaling."""

_KNOWN = _Fields.__annotations__
_ADVICE = "correct preprocessor_config.json beside the weights, or name another model: --model"


def _size(values: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width: of what is cut out where something is, else of the whole."""
    size = values.get("crop_size") if values.get("do_center_crop") else None
    size = values.get("size") if size is None else size
    if isinstance(size, dict) and isinstance(edge := size.get("shortest_edge"), int):
        size = edge
    if isinstance(size, int) and not isinstance(size, bool):
        size = {"height": size, "width": size}
    if not isinstance(size, dict) or not {"height", "width"} <= set(size):
        return None
    checked = check({name: size[name] for name in ("height", "width")}, _Size, TaskError)
    return checked["height"], checked["width"]
