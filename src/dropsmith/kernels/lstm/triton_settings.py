"""The settings of the LSTM's Triton kernel, as a value that a layer holds."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from dropsmith.errors import KernelError, did_you_mean
from dropsmith.kernels.lstm.triton_graphs import Graphs

Precision = Literal["ieee", "tf32x3", "tf32"]


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The tile that one program of the kernel works on; powers of two from 16 up.

    >>> Tiles(units=32)
    Tiles(rows=32, units=32, depth=32, warps=4, stages=3)

    Args:
        rows: of the batch.
        units: of the state, with all their gates.
        depth: how much of the product is summed at a time.
        warps: of 32 threads.
        stages: how many loads are under way at a time.
    """

    rows: int = 32
    units: int = 16
    depth: int = 32
    warps: int = 4
    stages: int = 3

    def __post_init__(self) -> None:
        for name in ("rows", "units", "depth"):
            size = getattr(self, name)
            if size < 16 or size & (size - 1):
                raise KernelError(
                    f"{name}={size} is no size of a tile\n  type a power of two from 16 up"
                )


@dataclass(frozen=True, kw_only=True)
class Triton:
    """Run an LSTM's steps with noise in Triton on a GPU.

    It works on float32, bfloat16 and float16, sums in float32 and holds the cell in float32. The
    weight's gradient is torch's own product, which follows torch's settings.

    >>> Triton(precision="tf32").tiles.units
    16

    Args:
        precision: of products of float32: `ieee` is full, `tf32` what cuDNN does unless torch is
            told otherwise, `tf32x3` three of those that come close to full.
        tiles: what one program works on.
        graphs: where steps are captured as CUDA graphs; None launches them one by one.
    """

    precision: Precision = "ieee"
    tiles: Tiles = field(default_factory=Tiles)
    graphs: Graphs | None = None

    def __post_init__(self) -> None:
        choices = get_args(Precision)
        if self.precision not in choices:
            raise KernelError(
                f"there is no precision {self.precision!r}"
                + did_you_mean(self.precision, choices)
                + f"\n  precisions: {', '.join(choices)}"
            )
