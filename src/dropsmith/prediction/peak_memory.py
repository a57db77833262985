"""The memory that a pass holds at once, counted from the tensors its operations return."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class PeakMemory(TorchDispatchMode):
    """The most bytes that results of operations held together in a `with` block, on any device.

    Args:
        counts: whether the present moment counts towards the peak.
    """

    supports_higher_order_operators = True

    def __init__(self, counts: Callable[[], bool]) -> None:
        super().__init__()
        self.counts = counts
        self.storages: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(output):
            if isinstance(leaf, Tensor) and leaf.layout == torch.strided:
                self._note(leaf)
        self.storages = {k: v for k, v in self.storages.items() if not v[0].expired()}
        if self.counts():
            self.peak = max(self.peak, sum(size for _, size in self.storages.values()))
        return output

    def leave_out(self, output: Any) -> None:
        """Do not count the tensors in `output`: the pass does not need them."""
        for leaf in pytree.tree_leaves(output):
            if isinstance(leaf, Tensor):
                self.storages.pop(StorageWeakRef(leaf.untyped_storage()).cdata, None)

    def _note(self, leaf: Tensor) -> None:
        storage = leaf.untyped_storage()
        reference = StorageWeakRef(storage)
        self.storages[reference.cdata] = (reference, storage.nbytes())
