"""Distances between two views: one number per item, without an average.

The caller averages, because it knows which items are padding. Half-precision scores are converted
to float32 first; float64 stays float64. Scores of different shapes are an error, since broadcasting
`[B]` with `[B, 1]` would compare every item with every other.
"""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.objectives._symmetric import SymmetricKL, log_ratio, plain_symmetric_kl, wide

Distance = Callable[[Tensor, Tensor], Tensor]
"""Maps the scores of two views to one number per item."""


def symmetric_kl(a: Tensor, b: Tensor) -> Tensor:
    """Half of KL(p‖q) + KL(q‖p) between two softmax outputs (R-Drop, Liang, Wu et al. 2021).

    It is computed as ½ Σ (p − q)(log p − log q), whose terms are never negative. Adding a constant
    to all scores of a view does not change it. A class at −inf in both views adds nothing to the
    value or the gradient; a class at −inf in one view only makes its item +inf.

    The scores are the only tensors of their size that are saved for backward.

    >>> symmetric_kl(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]]))
    tensor([0.])

    Args:
        a, b: unnormalised scores of two views, `[..., classes]`.
    """
    a, b = _distributions(a, b)
    if torch.compiler.is_compiling():  # a compiler decides itself what is saved
        return plain_symmetric_kl(a, b)
    return SymmetricKL.apply(a, b)  # pyright: ignore[reportReturnType]


def kl(a: Tensor, b: Tensor) -> Tensor:
    """KL(p‖q) for scores `a` of p and `b` of q, never negative.

    A class at −inf in `a` adds nothing; a class at −inf in `b` only makes its item +inf.

    >>> one_sided = kl(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    >>> one_sided.shape
    torch.Size([1])

    Args:
        a, b: unnormalised scores of two views, `[..., classes]`.
    """
    log_p, log_q = _log_probabilities(a, b)
    ratio = log_ratio(log_p, log_q, log_p.isneginf())
    return (log_p.exp() * ratio).sum(-1).clamp(min=0)


def mutual_kl(a: Tensor, b: Tensor) -> Tensor:
    """The value of `symmetric_kl`, with the gradient of each view towards the other as a constant.

    Args:
        a, b: unnormalised scores of two views, `[..., classes]`.
    """
    return (kl(a.detach(), b) + kl(b.detach(), a)) / 2


def jensen_shannon(a: Tensor, b: Tensor) -> Tensor:
    """Half of KL(p‖m) + KL(q‖m), where m is the mean of the two distributions.

    It is at most log 2, also for a class at −inf in one view only.

    >>> apart = jensen_shannon(torch.tensor([[99.0, -99.0]]), torch.tensor([[-99.0, 99.0]]))
    >>> bool(torch.isclose(apart.exp(), torch.tensor(2.0)))
    True

    Args:
        a, b: unnormalised scores of two views, `[..., classes]`.
    """
    log_p, log_q = _log_probabilities(a, b)
    from_p = log_p.exp() * _to_middle(log_ratio(log_q, log_p, log_p.isneginf()))
    from_q = log_q.exp() * _to_middle(log_ratio(log_p, log_q, log_q.isneginf()))
    return ((from_p + from_q).sum(-1) / -2).clamp(min=0)


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over classes of the squared difference of scores (Fraternal Dropout, Zolna et al. 2018).

    A class at −inf in both views is left out of the mean; a class at −inf in one view only makes
    its item +inf. Unlike a divergence between softmax outputs, it changes if a constant is added to
    all scores of a view.

    >>> squared_distance(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 2.0, 0.0]]))
    tensor([3.])

    Args:
        a, b: scores before the softmax, `[..., classes]`.
    """
    a, b = _alike(a, b)
    never = a.isneginf() & b.isneginf()
    difference = (a.to(wide(a, b)) - b.to(wide(a, b))).masked_fill(never, 0)
    real = (~never).sum(-1).clamp(min=1)
    return difference.square().sum(-1) / real


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Squared difference of each value, for regression; every value is an item.

    Args:
        a, b: predictions of two views, of any one shape.
    """
    a, b = _alike(a, b)
    return (a.to(wide(a, b)) - b.to(wide(a, b))).square()


def per_label(distance: Distance, a: Tensor, b: Tensor) -> Tensor:
    """A distance between softmax outputs, applied to each label as two classes.

    It is for multi-label outputs, where each label has its own sigmoid and is an item:
    `per_label(symmetric_kl, a, b)` is the symmetric KL of Bernoulli distributions.

    >>> per_label(symmetric_kl, torch.zeros(2, 3), torch.zeros(2, 3)).shape
    torch.Size([2, 3])

    Args:
        distance: a function of two tensors of scores `[..., classes]`.
        a, b: scores before the sigmoid, `[..., labels]`.
    """
    a, b = _alike(a, b)
    return distance(_no_and_yes(a), _no_and_yes(b))


def _to_middle(ratio: Tensor) -> Tensor:
    """log of (1 + eʳ) / 2: exactly 0 at 0, accurate near 0, and finite for large r."""
    near = torch.log1p(torch.expm1(ratio.clamp(max=20)) / 2)
    return torch.where(ratio > 20, ratio - log(2), near)


def _no_and_yes(scores: Tensor) -> Tensor:
    return torch.stack((torch.zeros_like(scores), scores), dim=-1)


def _log_probabilities(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a, b = _distributions(a, b)
    dtype = wide(a, b)
    return a.log_softmax(-1, dtype=dtype), b.log_softmax(-1, dtype=dtype)


def _distributions(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a, b = _alike(a, b)
    if a.shape[-1:] == (1,):
        raise ObjectiveError(
            f"scores of shape {tuple(a.shape)} have one class, whose probability is always 1: "
            "two views never differ\n"
            '  set kind="regression" for values, kind="multi_label" for yes or no'
        )
    return a, b


def _alike(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.shape != b.shape:
        raise ObjectiveError(
            f"two views of different shapes cannot be compared: {tuple(a.shape)} and "
            f"{tuple(b.shape)}\n  give both the same shape, with squeeze(-1) or unsqueeze(-1)"
        )
    return a, b
