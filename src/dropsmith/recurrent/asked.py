"""The masks of one forward of a layer: those it was given, and those that rules have left."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import SiteError, did_you_mean
from dropsmith.noise import SiteNoise, inner_noise_of
from dropsmith.recurrent.places import BETWEEN, OUTPUT, is_inside, is_update, mask_places


@dataclass(frozen=True)
class Asked:
    """Where a layer gets its masks from; they are drawn when they are asked for.

    Args:
        module: the layer.
        given: masks by the name of their place, as the layer's forward takes them.
        left: noise that rules have left with the layer.
        order: in which order of the batch's rows the layer runs, where it is not their own.
    """

    module: nn.RNNBase
    given: Mapping[str, Tensor]
    left: Mapping[str, SiteNoise]
    order: Tensor | None = None

    @classmethod
    def of(cls, module: nn.RNNBase, masks: Mapping[str, Tensor] | None) -> "Asked | None":
        """What there is to ask for in this forward; None where torch's own does all there is.

        Raises:
            SiteError: a mask has no place in the layer, or the layer has no places.
        """
        left = inner_noise_of(module)
        # Zoneout also works in eval mode: there the state's update is its mean.
        if not masks and not any(is_update(n) or _active(d, module) for n, d in left.items()):
            return None
        _check_places(module, masks or {})
        return cls(module, masks or {}, left)

    @property
    def inside(self) -> bool:
        """Whether anything is asked for between the steps, where torch's own kernels have none."""
        return any(map(is_inside, (*self.given, *self.left)))

    def sorted(self, order: Tensor | None) -> "Asked":
        """The same for a batch whose rows are run in another order."""
        return replace(self, order=order)

    def gates(self, place: str, sizes: tuple[int, int, int, int]) -> Tensor | None:
        """A mask `[time or 1, batch or 1, gate or 1, unit or 1]`.

        Args:
            place: its name.
            sizes: of batch, gate, time and unit.
        """
        mask = self._mask(place, sizes)
        return None if mask is None else mask.permute(2, 0, 1, 3)

    def steps(self, place: str, sizes: tuple[int, int, int]) -> Tensor | None:
        """A mask `[time or 1, batch or 1, unit or 1]`, of sizes given as batch, time, unit."""
        mask = self._mask(place, sizes)
        return None if mask is None else mask.transpose(0, 1)

    def update(self, place: str, sizes: tuple[int, int, int]) -> Tensor | None:
        """What share of a state's update is taken: flips while noise is on, else their mean."""
        mask = self.steps(place, sizes)
        if place in self.given or place not in self.left:
            return mask
        drawn = self.left[place]
        rate = drawn.pattern.rate_at(drawn.noise.pass_step)
        return (1 - rate) * (torch.ones(1, 1, 1) if mask is None else mask)  # pyright: ignore

    def between(self, layer: int, x: Tensor) -> Tensor:
        """What goes from one layer to the next, `[time, batch, unit]`."""
        mask = self.steps(f"{BETWEEN}_l{layer}", _sizes(x))
        drawn = self.left.get(f"{BETWEEN}()")
        if mask is not None:
            return x * mask.to(x.dtype)
        if drawn is not None:
            return self._dropped(drawn, x) if _active(drawn, self.module) else x
        rate, training = self.module.dropout, self.module.training
        return F.dropout(x, rate) if rate and training else x

    def output(self, x: Tensor) -> Tensor:
        """What the layer returns, `[time, batch, unit]`."""
        mask = self.steps(OUTPUT, _sizes(x))
        return x if mask is None else x * mask.to(x.dtype)

    def weights(self, flat: list[Tensor]) -> list[Tensor]:
        """Torch's flat list of weights under the masks given for them."""
        named = zip(self.module._flat_weights_names, flat, strict=True)
        return [self._weight(name, weight) for name, weight in named]

    def _weight(self, name: str, weight: Tensor) -> Tensor:
        if (mask := self.given.get(name)) is None:
            return weight
        _check_fits(name, mask, tuple(weight.shape))
        return weight * mask

    def _mask(self, place: str, sizes: tuple[int, ...]) -> Tensor | None:
        mask, drawn = self.given.get(place), self.left.get(place)
        if mask is not None:
            _check_fits(place, mask, sizes)
            if is_inside(place):
                _check_constant(place, mask)
        elif drawn is not None and _active(drawn, self.module):
            device = next(self.module.parameters()).device
            mask = drawn.mask(sizes, device)
        if mask is None or self.order is None or len(mask) == 1:
            return mask
        return mask[self.order]

    def _dropped(self, drawn: SiteNoise, x: Tensor) -> Tensor:
        if self.order is None:
            return drawn.drop(x, self.module)
        return drawn.drop(x[:, self.order.argsort()], self.module)[:, self.order]


def _active(drawn: SiteNoise, module: nn.RNNBase) -> bool:
    return drawn.noise.active(module.training)


def _sizes(x: Tensor) -> tuple[int, int, int]:
    return x.shape[1], x.shape[0], x.shape[2]


def _check_places(module: nn.RNNBase, masks: Mapping[str, Tensor]) -> None:
    if module.proj_size and any(map(is_inside, masks)):
        raise SiteError(
            f"a {type(module).__name__} with proj_size={module.proj_size} has no noise inside\n"
            "  leave out proj_size, or drop at its input, its output or its weights"
        )
    known = mask_places(module)
    for name in masks:
        if name not in known:
            raise SiteError(
                f"this {type(module).__name__} has no place {name!r} for a mask"
                + did_you_mean(name, known)
                + f"\n  places: {', '.join(known)}"
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
    """Steps of ours have no gradient by the masks of the state; the other places do."""
    if mask.requires_grad and torch.is_grad_enabled() and not place.startswith("input"):
        raise SiteError(
            f"the mask {place!r} asks for a gradient, and masks of the state have none\n"
            f"  give {place}.detach(), or learn a mask of input, output or weights"
        )
