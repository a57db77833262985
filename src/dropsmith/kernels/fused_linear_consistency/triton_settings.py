"""The settings of the head's Triton kernel, as a value."""

from dataclasses import dataclass

from dropsmith.errors import KernelError


@dataclass(frozen=True, kw_only=True)
class Triton:
    """Make loss and gradient from some items' scores in Triton, on a GPU.

    The products are torch's. One or two views, symmetric KL or squared distance.

    >>> Triton(classes=2048)
    Triton(items=2048, rows=1, classes=2048, warps=8)

    Args:
        items: how many are worked on at a time, views counted: more than on a CPU, for each time
            the whole gradient of the weight is read and written.
        rows: items that one program works on, a power of two.
        classes: scores of each that it looks at at a time, a power of two from 16 up.
        warps: of 32 threads.
    """

    items: int = 2048
    rows: int = 1
    classes: int = 4096
    warps: int = 8

    def __post_init__(self) -> None:
        if self.items < 1:
            raise KernelError(f"items={self.items} is none\n  type a number from 1 up")
        for name, least in (("rows", 1), ("classes", 16)):
            size = getattr(self, name)
            if size < least or size & (size - 1):
                raise KernelError(
                    f"{name}={size} is no size of a tile\n  type a power of two from {least} up"
                )
