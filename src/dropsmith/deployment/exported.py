"""The description of an exported file: its inputs, its outputs, and what it draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dropsmith.prediction import Draws, PredictionKind

Format = Literal["onnx", "pt2", "openvino"]

Sizes = tuple[int | str, ...]
"""The sizes of a tensor: numbers that are fixed, and names of those that may differ."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file that holds a model with its noise.

    Args:
        path: of the file.
        format: of the file.
        inputs: the inputs of the graph in order, each with its type and its sizes: `seed` and
            `number`, both int32 without axes, then the tensors of the batch. A size with a name
            may differ from call to call.
        outputs: the outputs in order: `draw`, or those of a prediction, such as `mean`; and
            `data_variance` where the model predicts one.
        kind: of the output; see `prediction.PredictionKind`.
        samples: how many samples one call averages; None for one sample a call.
        draws: `stratified` or `independent` masks.
        strata: how many samples are stratified together; 0 for independent ones.
        class_axis: the dimension of a draw that has the classes; None where there are none.
    """

    path: Path
    format: Format
    inputs: Mapping[str, tuple[str, Sizes]]
    outputs: tuple[str, ...]
    kind: PredictionKind
    samples: int | None
    draws: Draws
    strata: int
    class_axis: int | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, of which `path` is the one to load; the others lie beside it."""
        beside = [self.path.with_suffix(".bin")] if self.format == "openvino" else []
        data = self.path.with_name(f"{self.path.name}.data")
        return (self.path, *beside, *([data] if data.exists() else []))
