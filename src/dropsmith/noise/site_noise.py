"""A pattern at its site: asks the model's noise for sources and multiplies."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dropsmith.axes import UNKNOWN, Axes
from dropsmith.errors import AxisError, ViewError
from dropsmith.noise.state import Noise
from dropsmith.patterns import Pattern, WordDropout
from dropsmith.plans import Site, names_of
from dropsmith.rng import Source


@dataclass(eq=False)
class SiteNoise:
    """The noise of one site; picklable, and nothing but values and the noise of the model.

    Args:
        noise: the counters of the model.
        site: where this is.
        pattern: what is dropped, with its rate resolved for the site's depth.
        shared: whether the views of a batch share one mask.
        axes: the names given in the rule, or None.
        mask_name: what the sites that drop by one mask are called together, or None.
        once: whether all calls of the site within a pass drop by one mask.
    """

    noise: Noise
    site: Site
    pattern: Pattern
    shared: bool = False
    axes: str | None = None
    mask_name: str | None = None
    once: bool = False

    def drop(self, x: Tensor, module: nn.Module) -> Tensor:
        """`x` with this site's noise, in the pass that is running."""
        output = self._drop(x, module)
        return output if self.noise.observer is None else self._observe(x, output)

    def sources(self, device: torch.device) -> tuple[Source, ...]:
        """The sources of the next mask, one for each view of the pass."""
        return self.noise.sources(self.site.name, self.shared, device, self.mask_name, self.once)

    def _drop(self, x: Tensor, module: nn.Module) -> Tensor:
        sources = self.sources(x.device)
        names = self._names(module, x)
        if self.mask_name is not None or self.once:
            self._agree(names, tuple(x.shape))
        if len(sources) > 1:
            dim = self._batch_dim(names, tuple(x.shape), len(sources))
            return self._without_noise(x, self.pattern.drop(x, names, sources), dim)
        if self.noise.current.noise_free and self.noise.noise_free_views()[0]:
            return x
        return self.pattern.drop(x, names, sources)

    def weight(self, weight: Tensor) -> Tensor:
        """A parameter with this site's noise; one pass has one mask for it."""
        sources = self.sources(weight.device)
        noise_free = self.noise.noise_free_views()
        if all(noise_free):
            return weight
        if len(set(sources)) > 1 or any(noise_free):
            raise ViewError(
                f"site {self.site.name!r} is a weight: the views of a stacked batch would share "
                'its mask\n  use mode="looped", or rule(..., views="shared")'
            )
        sizes = tuple(weight.shape)
        names = Axes.read(self.axes, sizes).names if self.axes else (UNKNOWN,) * len(sizes)
        self._agree(names, sizes)
        noisy_weight = self.pattern.drop(weight, names, sources[:1])
        return self._observe(weight, noisy_weight)

    def mask(self, sizes: tuple[int, ...], device: torch.device) -> Tensor:
        """A mask for a tensor of these sizes; whoever asks for it multiplies."""
        sources = self.sources(device)
        names = Axes.read(self.axes, sizes).names if self.axes is not None else self.site.axes
        self._agree(names, sizes)
        dim = self._batch_dim(names, sizes, len(sources))
        mask = self.pattern.masks(sizes, names, sources)
        mask = self._without_noise(torch.ones_like(mask), mask, dim)
        return self._observe(torch.ones_like(mask), mask)

    def words(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Embedded words with whole word types dropped; `rows` is `ids` with one more axis."""
        assert isinstance(self.pattern, WordDropout)
        sources = self.sources(rows.device)
        names = tuple(self.axes.split()) if self.axes is not None else self.site.axes
        dim = self._batch_dim(names or ("batch",), tuple(ids.shape), len(sources))
        output = self.pattern.drop_rows(rows, ids, sources, dim)
        return self._observe(rows, self._without_noise(rows, output, dim))

    def _agree(self, names: tuple[str, ...], sizes: tuple[int, ...]) -> None:
        if self.mask_name is not None or self.once:
            mask_sizes = self.pattern.mask_sizes(Axes(names, sizes))
            self.noise.agree(self.mask_name, self.site.name, mask_sizes, self.once)

    def _names(self, module: nn.Module, x: Tensor) -> tuple[str, ...]:
        if self.axes is not None:
            return Axes.read(self.axes, tuple(x.shape)).names
        if len(self.site.axes) == x.ndim:
            return self.site.axes
        return names_of(module, self.site.kind, x.ndim)

    def _batch_dim(self, names: tuple[str, ...], sizes: tuple[int, ...], views: int) -> int:
        if "batch" not in names:
            if views == 1:
                return 0
            raise ViewError(
                f"site {self.site.name!r} has no batch axis, so views stacked in one batch would "
                f'share its mask (sizes {sizes})\n  use mode="looped"'
            )
        dim = names.index("batch")
        rows = self.noise.current.rows
        # Heads, or whatever a person who names the axes knows of, may be folded into the rows.
        may_fold = self.axes is not None or self.site.kind in ("attention", "functional")
        unlike = rows and (sizes[dim] % rows if may_fold else sizes[dim] != rows)
        if sizes[dim] % views or unlike:
            raise AxisError(
                f"site {self.site.name!r} was taken to be '{' '.join(names)}', but its batch axis "
                f"has {sizes[dim]} rows where the batch has {rows} (sizes {sizes})\n"
                '  name its axes: rule(..., axes="time batch unit"), or use mode="looped"'
            )
        return dim

    def _observe(self, before: Tensor, after: Tensor) -> Tensor:
        if self.noise.observer is not None:
            self.noise.observer(self.site.name, self.site.kind, before, after)
        return after

    def _without_noise(self, x: Tensor, output: Tensor, dim: int) -> Tensor:
        if not self.noise.current.noise_free:
            return output
        noise_free = self.noise.noise_free_views()
        views = len(noise_free)
        pairs = zip(x.chunk(views, dim), output.chunk(views, dim), strict=True)
        parts = [a if off else b for off, (a, b) in zip(noise_free, pairs, strict=True)]
        return torch.cat(parts, dim)
