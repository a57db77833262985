"""The settings of the LSTM's Triton kernel."""

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
        rows: rows of the batch.
        units: units of the state, with all their gates.
        depth: the length of the product that is summed at a time.
        warps: groups of 32 threads.
        stages: the number of loads in flight.
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
                    f"{name}={excerpt(size)} is no size of a tile\n  give a power of two from 16 up"
                )
        for name in ("warps", "stages"):
            check_whole(name, getattr(self, name), 1, KernelError, 64)


@dataclass(frozen=True, kw_only=True)
class Triton:
    """Run an LSTM's steps with noise in Triton on a GPU.

    It works on float32, bfloat16 and float16; sums and the cell are in float32. The gradient of
    the weight is torch's own product, which follows torch's settings.

    >>> Triton(precision="tf32").tiles.units
    16

    Args:
        precision: of float32 products: `ieee` is full precision, `tf32` is the default of cuDNN,
            and `tf32x3` is three TF32 products, which come close to full precision.
        tiles: the tile of one program.
        graphs: the CUDA graphs that run the steps; None launches each step.
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
                f"no precision is called {excerpt(self.precision)}"
                + did_you_mean(self.precision, choices)
                + f"\n  precisions: {', '.join(choices)}"
            )
