"""The rows of each view in a tensor at a site, where several views are stacked in one batch."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dropsmith.errors import AxisError, ViewError
from dropsmith.noise.state import Noise

if TYPE_CHECKING:
    from dropsmith.noise.site_noise import SiteNoise


def batch_dim(
    site_noise: "SiteNoise", names: tuple[str, ...], sizes: tuple[int, ...], views: int
) -> int:
    """The dimension along which the views of a tensor lie one after the other.

    Args:
        site_noise: the noise of the site.
        names: the axes of the tensor.
        sizes: its sizes.
        views: how many views are stacked.

    Raises:
        ViewError: the tensor has no batch axis, and there are several views.
        AxisError: the batch axis does not have the rows of the batch.
    """
    site = site_noise.site
    if "batch" not in names:
        if views == 1:
            return 0
        raise ViewError(
            f"site {site.name!r} has no batch axis, so views stacked in one batch would "
            f'share its mask (sizes {sizes})\n  use mode="looped"'
        )
    dim = names.index("batch")
    rows = site_noise.noise.current.rows
    # Heads, or whatever a person who names the axes knows of, may be folded into the rows.
    may_fold = site_noise.axes is not None or site.kind in ("attention", "functional")
    unlike = rows and (sizes[dim] % rows if may_fold else sizes[dim] != rows)
    if sizes[dim] % views or unlike:
        raise AxisError(
            f"site {site.name!r} was taken to be '{' '.join(names)}', but its batch axis "
            f"has {sizes[dim]} rows where the batch has {rows} (sizes {sizes})\n"
            '  name its axes: rule(..., axes="time batch unit"), or use mode="looped"'
        )
    return dim


def keep_noise_free_views(noise: Noise, x: Tensor, output: Tensor, dim: int) -> Tensor:
    """`output`, with the rows of `x` where a view runs without noise.

    Args:
        noise: the state of the model's noise, whose pass says which views those are.
        x: the tensor before the noise.
        output: the tensor after it.
        dim: the dimension along which the views lie one after the other.
    """
    if not noise.current.noise_free:
        return output
    noise_free = noise.noise_free_views()
    views = len(noise_free)
    pairs = zip(x.chunk(views, dim), output.chunk(views, dim), strict=True)
    parts = [a if off else b for off, (a, b) in zip(noise_free, pairs, strict=True)]
    return torch.cat(parts, dim)
