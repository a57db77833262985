"""A trunk that several views share: everything before a named module runs once.

Where the trunk ends, rows are repeated, once for each view. The modules after it that stand
beside it (the rest of a stack of layers) also take tensors with one entry per row that came
around the trunk, such as an attention mask; those are repeated there.
"""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.errors import SiteError, ViewError, did_you_mean
from dropsmith.sites import Noise
from dropsmith.sites.batch import tensors_in


class Trunk:
    """A context in which one forward of a model forks into `n` views at a named module.

    Args:
        model: the root.
        name: the first module that is not shared.
        noise: the model's noise, if any; below the fork it has one view, above it `n`.
        rows: how many rows the batch has.
        n: how many views.
    """

    def __init__(self, model: nn.Module, name: str, noise: Noise | None, rows: int, n: int) -> None:
        self.first, self.rest = _upper(model, name)
        self.name, self.noise, self.rows, self.n = name, noise, rows, n
        self.forked = False
        self.stack = ExitStack()

    def __enter__(self) -> "Trunk":
        for module in (self.first, *self.rest):
            handle = module.register_forward_pre_hook(self._enter, with_kwargs=True)
            self.stack.callback(handle.remove)
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self.stack.close()
        if kind is None and not self.forked:
            raise ViewError(f"module {self.name!r}, where the trunk was to end, never ran")

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        if module is self.first and not self.forked:
            self.forked = True
            if self.noise is not None:
                # Layers below may be run again in backward: then there was one view.
                self.noise.restore_in_backward(tensors_in((args, kwargs)))
                views, rows = tuple(range(self.n)), self.rows * self.n
                self.noise.current = replace(self.noise.current, views=views, rows=rows)
        return pytree.tree_map(self._repeat, (args, kwargs)) if self.forked else None

    def _repeat(self, leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and leaf.ndim and leaf.shape[0] == self.rows:
            return torch.cat([leaf] * self.n)
        return leaf


def _upper(model: nn.Module, name: str) -> tuple[nn.Module, list[nn.Module]]:
    known = dict(model.named_modules())
    if name not in known or not name:
        raise SiteError(
            f"no module {name!r} to end the trunk at" + did_you_mean(name, [n for n in known if n])
        )
    parent, _, own = name.rpartition(".")
    beside = list(known[parent].named_children())
    index = [child for child, _ in beside].index(own)
    return known[name], [module for _, module in beside[index + 1 :]]
