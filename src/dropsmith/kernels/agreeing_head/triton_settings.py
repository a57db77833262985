"""How the head's Triton kernel runs, as a value."""

from dataclasses import dataclass

from dropsmith.errors import KernelError


@dataclass(frozen=True, kw_only=True)
class Triton:
    """Make loss and gradient from some items' scores in Triton, on a GPU. Untimed, hence opt-in.

    The kernel was tested in Triton's interpreter and compiled for a GPU, but has not run on one,
    and its first use says so. The products are torch's. One or two views, symmetric KL or squared
    distance.

    >>> Triton(classes=2048)
    Triton(rows=1, classes=2048, warps=8)

    Args:
        rows: items that one program works on, a power of two.
        classes: scores of each that it looks at at a time, a power of two from 16 up.
        warps: of 32 threads.
    """

    rows: int = 1
    classes: int = 4096
    warps: int = 8

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("classes", 16)):
            size = getattr(self, name)
            if size < least or size & (size - 1):
                raise KernelError(
                    f"{name}={size} is no size of a tile\n  type a power of two from {least} up"
                )
