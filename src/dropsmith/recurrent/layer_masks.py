"""The masks of a layer in one forward: from the arguments of the call, or from rules."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import SiteError, did_you_mean
from dropsmith.noise import SiteNoise, inner_noise_of
from dropsmith.recurrent.places import BETWEEN, OUTPUT, is_inside, is_update, mask_places


@dataclass(frozen=True)
class LayerMasks:
    """The masks of a layer in one forward; masks of rules are drawn at their use.

    Args:
        module: the layer.
        masks: masks by place, as in the layer's forward.
        site_noises: the noise of rules on the layer.
        order: the order in which the layer runs the rows of the batch, if it is another.
    """

    module: nn.RNNBase
    masks: Mapping[str, Tensor]
    site_noises: Mapping[str, SiteNoise]
    order: Tensor | None = None

    @classmethod
    def of(cls, module: nn.RNNBase, masks: Mapping[str, Tensor] | None) -> "LayerMasks | None":
        """The masks of this forward; None if torch's own kernels can run it.

        Raises:
            SiteError: a mask names no place of the layer, or the layer has no places.
        """
        site_noises = inner_noise_of(module)
        # Zoneout acts in eval mode, too, where an update has its mean share.
        if not masks and not any(
            is_update(n) or _active(d, module) for n, d in site_noises.items()
        ):
            return None
        _check_places(module, masks or {})
        return cls(module, masks or {}, site_noises)

    @property
    def inside(self) -> bool:
        """True if a mask acts inside the recurrence, which torch's own kernels do not support."""
        return any(map(is_inside, (*self.masks, *self.site_noises)))

    def with_order(self, order: Tensor | None) -> "LayerMasks":
        """The same masks for a batch with its rows in another order."""
        return replace(self, order=order)

    def gates(self, place: str, sizes: tuple[int, int, int, int]) -> Tensor | None:
        """A mask `[time or 1, batch or 1, gate or 1, unit or 1]`.

        Args:
            place: the name of its place.
            sizes: of batch, gate, time and unit.
        """
        mask = self._mask(place, sizes)
        return None if mask is None else mask.permute(2, 0, 1, 3)

    def steps(self, place: str, sizes: tuple[int, int, int]) -> Tensor | None:
        """A mask `[time or 1, batch or 1, unit or 1]`, for sizes of batch, time and unit."""
        mask = self._mask(place, sizes)
        return None if mask is None else mask.transpose(0, 1)

    def update(self, place: str, sizes: tuple[int, int, int]) -> Tensor | None:
        """The share of a state's update: 0 or 1 while noise is on, else their mean."""
        mask = self.steps(place, sizes)
        if place in self.masks or place not in self.site_noises:
            return mask
        site_noise = self.site_noises[place]
        rate = site_noise.pattern.rate_at(site_noise.noise.pass_step)
        return (1 - rate) * (torch.ones(1, 1, 1) if mask is None else mask)  # pyright: ignore

    def between(self, layer: int, x: Tensor) -> Tensor:
        """The input of the next layer, `[time, batch, unit]`, from the output of this one."""
        mask = self.steps(f"{BETWEEN}_l{layer}", _sizes(x))
        site_noise = self.site_noises.get(f"{BETWEEN}()")
        if mask is not None:
            return x * mask.to(x.dtype)
        if site_noise is not None:
            return self._drop(site_noise, x) if _active(site_noise, self.module) else x
        rate, training = self.module.dropout, self.module.training
        return F.dropout(x, rate) if rate and training else x

    def output(self, x: Tensor) -> Tensor:
        """The output of the layer, `[time, batch, unit]`."""
        mask = self.steps(OUTPUT, _sizes(x))
        return x if mask is None else x * mask.to(x.dtype)

    def weights(self, flat: list[Tensor]) -> list[Tensor]:
        """Torch's flat list of weights, times their masks."""
        pairs = zip(self.module._flat_weights_names, flat, strict=True)
        return [self._weight(name, weight) for name, weight in pairs]

    def _weight(self, name: str, weight: Tensor) -> Tensor:
        if (mask := self.masks.get(name)) is None:
            return weight
        _check_fits(name, mask, tuple(weight.shape))
        return weight * mask

    def _mask(self, place: str, sizes: tuple[int, ...]) -> Tensor | None:
        mask, site_noise = self.masks.get(place), self.site_noises.get(place)
        if mask is not None:
            _check_fits(place, mask, sizes)
            if is_inside(place):
                _check_constant(place, mask)
        elif site_noise is not None and _active(site_noise, self.module):
            device = next(self.module.parameters()).device
            mask = site_noise.mask(sizes, device)
        if mask is None or self.order is None or len(mask) == 1:
            return mask
        return mask[self.order]

    def _drop(self, site_noise: SiteNoise, x: Tensor) -> Tensor:
        """Noise on `[time, batch, unit]`; the axes of the site are in the order of the layer."""
        x = x if self.order is None else x[:, self.order.argsort()]
        if self.module.batch_first:
            x = site_noise.drop(x.transpose(0, 1), self.module).transpose(0, 1)
        else:
            x = site_noise.drop(x, self.module)
        return x if self.order is None else x[:, self.order]


def _active(site_noise: SiteNoise, module: nn.RNNBase) -> bool:
    return site_noise.noise.active(module.training)


def _sizes(x: Tensor) -> tuple[int, int, int]:
    return x.shape[1], x.shape[0], x.shape[2]


def _check_places(module: nn.RNNBase, masks: Mapping[str, Tensor]) -> None:
    if module.proj_size and any(map(is_inside, masks)):
        raise SiteError(
            f"a {type(module).__name__} with proj_size={module.proj_size} takes no noise inside\n"
            "  leave out proj_size, or drop at its input, its output or its weights"
        )
    places = mask_places(module)
    for name in masks:
        if name not in places:
            raise SiteError(
                f"this {type(module).__name__} has no place {name!r} for a mask"
                + did_you_mean(name, places)
                + f"\n  places: {', '.join(places)}"
            )


_AXES = {4: "batch, gate, time, unit", 3: "batch, time, unit"}


def _check_fits(place: str, mask: Tensor, sizes: tuple[int, ...]) -> None:
    pairs = zip(mask.shape, sizes, strict=False)
    if mask.ndim != len(sizes) or any(have not in (1, size) for have, size in pairs):
        axes = _AXES.get(len(sizes), "those of the weight")
        raise SiteError(
            f"the mask {place!r} has sizes {tuple(mask.shape)} and does not fit {sizes}\n"
            f"  its axes are {axes}; each has its full size or 1"
        )


def _check_constant(place: str, mask: Tensor) -> None:
    """Refuse a mask of the state that requires a gradient, which the kernels do not compute."""
    if mask.requires_grad and torch.is_grad_enabled() and not place.startswith("input"):
        raise SiteError(
            f"the mask {place!r} requires a gradient, but masks of the state have none\n"
            f"  give {place}.detach(), or learn a mask of input, output or weights"
        )
