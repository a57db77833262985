"""Readings of a model's Transformer blocks in one forward: their states and their attention."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from dropsmith.activations.block_outputs import Layer, Reads
from dropsmith.activations.block_reader import Reader, never
from dropsmith.interception import fast_path_disabled


class BlockReadings:
    """The readings of one forward; `layers` are there when it is over."""

    def __init__(self) -> None:
        self.layers: tuple[Layer, ...] = ()


@contextmanager
def read_blocks(
    model: nn.Module, reads: Reads, below: Callable[[], bool] = never
) -> Iterator[BlockReadings]:
    """Read the blocks of the one forward inside a `with` block.

    `taps` reads places by name; this finds the blocks itself, in their order, for objectives that
    compare views layer by layer.

    The first forward of a model looks everywhere; later ones where blocks were found.

    >>> import torch
    >>> net = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> with read_blocks(net, Reads()) as read:
    ...     y = net(torch.ones(3, 5, 8))
    >>> [(layer.name, tuple(layer.hidden.shape)) for layer in read.layers]
    [('root', (3, 5, 8))]

    Args:
        model: the root; install a plan, if any, before.
        reads: what is wanted.
        below: whether the module that runs now is in a trunk, which runs once for several views.

    Raises:
        SiteError: no block was found, one has not shown what is wanted, or what it shows has no
            gradient because its activations are checkpointed with `use_reentrant=True`.
    """
    reader, read = Reader(model, reads, below=below), BlockReadings()
    reader.open()
    try:
        with fast_path_disabled():
            yield read
        read.layers = reader.finish()
    finally:
        reader.close()
