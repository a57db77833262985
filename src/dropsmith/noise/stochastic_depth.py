"""Stochastic depth at a module: dropped rows are not computed if that changes no result."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.batches import leading_tensor, with_leading_tensor
from dropsmith.errors import SiteError
from dropsmith.interception import Attachment
from dropsmith.noise.module_hooks import Output
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.patterns import StochasticDepth
from dropsmith.plans import names_of


class SkippedRows(Attachment):
    """Runs a module on the rows that are kept and puts zeros where the others were.

    Rows are skipped only where each row is computed by itself: not with BatchNorm inside, not
    with keyed noise inside (its masks count rows), not while compiling, and not with stacked
    views. Elsewhere everything is computed and the dropped rows multiplied by zero.

    What else the module returns row by row is zero, too, at the rows that were not computed.
    """

    def __init__(self, module: nn.Module, site_noise: SiteNoise) -> None:
        super().__init__(module)
        self.site_noise = site_noise
        self.output = Output(module, site_noise)
        self.row_mask: Tensor | None = None

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(_Shrink(self), with_kwargs=True))
        self.handles.append(self.module.register_forward_hook(_Expand(self)))

    def shrink(self, args: Any, kwargs: Any) -> Any:
        """The arguments with only the kept rows, where skipping is possible."""
        self.row_mask = None
        noise, pattern = self.site_noise.noise, self.site_noise.pattern
        assert isinstance(pattern, StochasticDepth)
        if not noise.active(self.module.training) or not self._may_skip():
            return None
        rows = _rows(args, kwargs)
        if rows is None or any(noise.noise_free_views()) or not self._rows_first(args, kwargs):
            return None
        device = next(leaf.device for leaf in pytree.tree_leaves((args, kwargs)) if _tensor(leaf))
        source = self.site_noise.sources(device)[0]
        row_mask = pattern.kept_rows(rows, source)
        self.row_mask = row_mask
        if not bool(row_mask.any()):
            # A module may not take an empty batch: compute one row and give it no weight.
            row_mask = torch.arange(rows, device=device) == 0
        self.rate = pattern.rate_at(source.step)
        return pytree.tree_map(lambda x: x[row_mask] if _tensor(x) else x, (args, kwargs))

    def expand(self, output: Any) -> Any:
        """All rows again: zeros where a row was dropped, the others scaled."""
        if self.row_mask is None:
            return self.output(self.module, (), output)
        row_mask, self.row_mask = self.row_mask, None
        count = max(int(row_mask.sum()), 1)
        first = leading_tensor(output, self.site_noise.site.name) / (1 - self.rate)
        if first.shape[:1] != (count,):
            raise SiteError(
                f"site {self.site_noise.site.name!r} took {count} rows and returned a tensor of "
                f"sizes {tuple(first.shape)}\n"
                '  where its rows are not dimension 0, name them: rule(..., axes="time batch unit")'
            )

        def put_back(leaf: Any) -> Any:
            by_row = _tensor(leaf) and leaf.shape[:1] == (count,)
            return _put_back(leaf, row_mask) if by_row else leaf

        return pytree.tree_map(put_back, with_leading_tensor(output, first))

    def _rows_first(self, args: Any, kwargs: Any) -> bool:
        """Say whether rows are dimension 0 of what the module takes and returns."""
        x = next(leaf for leaf in pytree.tree_leaves((args, kwargs)) if _tensor(leaf))
        axes = self.site_noise.axes.split() if self.site_noise.axes else self.site_noise.site.axes
        names = axes or names_of(self.module, "output", x.ndim)
        return names[0] == "batch"

    def _may_skip(self) -> bool:
        noise = self.site_noise.noise
        # Whoever observes wants to see what the dropped rows would have been.
        if torch.compiler.is_compiling() or len(noise.current.views) > 1 or noise.observer:
            return False
        return not any(_counts_rows(module, self) for module in self.module.modules())


def _counts_rows(module: nn.Module, attachment: SkippedRows) -> bool:
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
        return True
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(
        type(hook).__module__.startswith("dropsmith.")
        and getattr(hook, "attachment", 0) is not attachment
        for hook in hooks
    )


def _put_back(output: Tensor, row_mask: Tensor) -> Tensor:
    all_rows = output.new_zeros(row_mask.shape[0], *output.shape[1:])
    if bool(row_mask.any()):
        return all_rows.index_put((row_mask.nonzero()[:, 0],), output)
    # One row was computed for nothing; its gradient is zero, but it has one.
    return all_rows + (0 * output).sum()


def _rows(args: Any, kwargs: Any) -> int | None:
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if _tensor(leaf)]
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in tensors}
    return sizes.pop() if len(sizes) == 1 and 0 not in sizes else None


def _tensor(leaf: Any) -> bool:
    return isinstance(leaf, Tensor)


class _Shrink:
    def __init__(self, attachment: SkippedRows) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        return self.attachment.shrink(args, kwargs)


class _Expand:
    def __init__(self, attachment: SkippedRows) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        return self.attachment.expand(output)
