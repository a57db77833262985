"""The settings of the LSTM's Triton kernel, as a value that a layer holds."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from dropsmith.errors import KernelError, did_you_mean, excerpt
from dropsmith.instances import check_type
from dropsmith.kernels.lstm.triton_graphs import Graphs
from dropsmith.numbers import check_whole, is_count

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
            if not is_count(size, 16) or size & (size - 1):
                raise KernelError(
                    f"{name}={excerpt(size)} is no size of a tile\n  type a power of two from 16 up"
                )
        for name in ("warps", "stages"):
            check_whole(name, getattr(self, name), 1, KernelError, 64)


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
        check_type("tiles", self.tiles, Tiles, "a Tiles")
        check_type("graphs", self.graphs, (Graphs, type(None)), "a Graphs, or None")
        choices = get_args(Precision)
        if not isinstance(self.precision, str) or self.precision not in choices:
            raise KernelError(
                f"there is no precision {excerpt(self.precision)}"
                + did_you_mean(self.precision, choices)
                + f"\n  precisions: {', '.join(choices)}"
            )
