"""Sinusoids by which a Transformer tells places or distances apart (Vaswani et al., 2017)."""

import torch
from torch import Tensor

_LONGEST = 10_000


def waves(places: Tensor, width: int, like: Tensor) -> Tensor:
    """The sinusoids of each place, sines first and then cosines, `[places, width]`.

    >>> waves(torch.tensor([0]), 4, torch.zeros(1))
    tensor([[0., 0., 1., 1.]])

    Args:
        places: integers, `[places]`.
        width: how many there are of each; even.
        like: a tensor of the type they shall have.
    """
    # Half precision has no numbers for places beyond a few hundred.
    exact = torch.promote_types(like.dtype, torch.float32)
    even = torch.arange(0, width, 2, device=places.device, dtype=exact)
    angle = places.to(exact).unsqueeze(1) * _LONGEST ** (-even / width)
    return torch.cat([angle.sin(), angle.cos()], dim=1).to(like.dtype)
