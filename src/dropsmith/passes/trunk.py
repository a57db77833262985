"""A trunk is the part of a model before a named module, which runs once for several views.

Where the trunk ends, rows are repeated, once for each view. Modules that come later (the rest of
a stack of layers, a decoder, a head) also take tensors with one entry per row that came around the
trunk, such as an attention mask or a decoder's own words; those are repeated there.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

from dropsmith.batches import is_packed, packed_rows, tensors_in, with_rows
from dropsmith.errors import SiteError, ViewError, did_you_mean, excerpt
from dropsmith.noise import Noise


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
        self.first, self.rest = upper(model, name)
        self.name, self.noise, self.rows, self.n = name, noise, rows, n
        self.has_forked = False
        self.handles: list[RemovableHandle] = []

    def __enter__(self) -> "Trunk":
        self._attach()
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self.detach()
        if kind is None and not self.has_forked:
            raise ViewError(f"module {self.name!r}, where the trunk was to end, never ran")

    def below(self) -> bool:
        """Say whether the forward has yet to come to the trunk's end."""
        return not self.has_forked

    def fork_again_in_backward(self, output: Any) -> None:
        """Fork there, too, when activation checkpointing runs the upper layers again."""
        for tensor in tensors_in(output):
            if tensor.requires_grad:
                tensor.register_hook(self._back)

    def _back(self, grad: Tensor) -> None:
        self._attach()
        Variable._execution_engine.queue_callback(self.detach)

    def _attach(self) -> None:
        if not self.handles:
            modules = (self.first, *self.rest)
            self.handles = [
                module.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True)
                for module in modules
            ]

    def detach(self, grad: Tensor | None = None) -> None:
        """Let forwards run through again without a fork."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        if module is self.first and not self.has_forked:
            self.has_forked = True
            entering = tensors_in((args, kwargs))
            self._check(entering, (args, kwargs))
            self._fork(entering)
        if not self.has_forked:
            return None
        return pytree.tree_map(self._repeat, (args, kwargs), is_leaf=is_packed)

    def _check(self, entering: list[Tensor], arguments: Any) -> None:
        packed = filter(is_packed, pytree.tree_leaves(arguments, is_leaf=is_packed))
        rows = [*(x.shape[0] for x in entering if x.ndim), *map(packed_rows, packed)]
        if self.rows not in rows:
            sizes = ", ".join(str(tuple(x.shape)) for x in entering) or "no tensor"
            raise ViewError(
                f"module {self.name!r}, where the trunk ends, is given nothing of the batch's "
                f"{self.rows} rows in dimension 0, but {sizes}\n"
                "  rows must be in dimension 0 there: name another module, or leave trunk out"
            )

    def _fork(self, entering: list[Tensor]) -> None:
        # Below, where backward arrives last, there was one view and no fork.
        for tensor in entering:
            if tensor.requires_grad:
                tensor.register_hook(self.detach)
        if self.noise is not None:
            self.noise.restore_in_backward(entering)
            views, rows = tuple(range(self.n)), self.rows * self.n
            self.noise.current = replace(self.noise.current, views=views, rows=rows)

    def _repeat(self, leaf: Any) -> Any:
        if is_packed(leaf) and packed_rows(leaf) == self.rows:
            return with_rows(lambda x: torch.cat([x] * self.n), leaf)
        if isinstance(leaf, Tensor) and leaf.ndim and leaf.shape[0] == self.rows:
            return torch.cat([leaf] * self.n)
        return leaf


def upper(model: nn.Module, name: str) -> tuple[nn.Module, list[nn.Module]]:
    """The module where a trunk ends and those that come later, or `SiteError`.

    Later are those that its parent made after it, and its parent's parent after that, and so on.
    """
    modules = dict(model.named_modules())
    if name not in modules or not name:
        names = [n for n in modules if n]
        raise SiteError(
            f"no module {excerpt(name)} to end the trunk at" + did_you_mean(name, names)
        )
    later: list[nn.Module] = []
    inside = name
    while inside:
        parent, _, child = inside.rpartition(".")
        children = list(modules[parent].named_children())
        index = [name for name, _ in children].index(child)
        later += [module for _, module in children[index + 1 :]]
        inside = parent
    return modules[name], later
