"""How far the Transformer blocks of two views are apart, stack by stack, where tokens are real."""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.activations import Layer
from dropsmith.errors import ObjectiveError
from dropsmith.kernels import attention_divergence
from dropsmith.objectives._padding import real_tokens
from dropsmith.objectives._stacks import Stack, cut_rows, leading_batch, stacks_of
from dropsmith.passes import Views
from dropsmith.terms import Mean, Terms, total


@dataclass(frozen=True, kw_only=True)
class LayerAgreement:
    """What of each block is compared, and how.

    Args:
        hidden: the distance of hidden states, or None to leave them out.
        attention: the distance of attention probabilities, or None to leave them out.
        cross: whether a decoder's attention to its encoder is compared as well.
        layers: which blocks of each stack, by number, negative from the end; all where None.
        stop_gradient: the view that is a constant, or None.
    """

    hidden: str | None
    attention: str | None
    cross: bool
    layers: tuple[int, ...] | None
    stop_gradient: int | None


def layer_terms(views: Views, how: LayerAgreement, labelled: Tensor | None) -> Terms:
    """A mean over the blocks of each stack: `hidden`, `attention` and `cross`, each with its stack.

    A stack's name is left out where there is one only. What the views share is the same in all of
    them, and is not counted.

    Args:
        views: with their layers.
        how: what is compared.
        labelled: which tokens view 0's loss counts.
    """
    terms: Terms = {}
    stacks = stacks_of(views, how.layers, how.stop_gradient)
    for stack in stacks:
        real = real_tokens(stack.views[0], leading_batch(views), cut_rows(labelled, views, 0))
        suffix = f" {stack.name}" if len(stacks) > 1 else ""
        for part, means in _parts(stack, how, real).items():
            if means:
                terms[part + suffix] = total(means)
    _check_any(terms, views, how)
    return terms


def _check_any(terms: Terms, views: Views, how: LayerAgreement) -> None:
    """Refuse a part of which nothing is left, where all of it is below a trunk's end."""
    if not any(layer.shared_hidden or layer.shared_attention for layer in views.layers[0]):
        return
    made = {name.split(" ")[0] for name in terms}
    for wanted, part, kinds in (
        (how.hidden, "hidden", {"hidden"}),
        (how.attention, "attention", {"attention", "cross"}),
    ):
        if wanted is not None and not kinds & made:
            raise ObjectiveError(
                f"the views share all that {part} is to agree in: it is below the trunk's end\n"
                f"  end the trunk earlier, choose layers above it, or set {part}=0"
            )


def _parts(stack: Stack, how: LayerAgreement, real: Tensor | None) -> dict[str, list[Mean]]:
    found: dict[str, list[Mean]] = {"hidden": [], "attention": [], "cross": []}
    for alike in zip(*stack.views, strict=True):
        for one, other in combinations(alike, 2):
            if how.hidden is not None and not one.shared_hidden:
                found["hidden"].append(_hidden(one, other, how.hidden, real))
            if how.attention is None:
                continue
            settings = attention_divergence.AttentionSettings(distance=how.attention)  # pyright: ignore
            for mine, yours in zip(one.attention, other.attention, strict=True):
                part = "attention" if mine[0] == one.attention[0][0] else "cross"
                if mine[0] not in one.shared_attention and (part == "attention" or how.cross):
                    found[part].append(_attention(mine, yours, settings, real))
    return found


def _hidden(one: Layer, other: Layer, distance: str, real: Tensor | None) -> Mean:
    assert one.hidden is not None
    assert other.hidden is not None
    wide = torch.promote_types(one.hidden.dtype, torch.float32)
    a, b = one.hidden.to(wide), other.hidden.to(wide)
    kept = None if real is None else real.unsqueeze(-1)
    if distance == "cosine":
        a, b = (x if kept is None else torch.where(kept, x, 0) for x in (a, b))
        # 1 − cos is half the squared difference of the directions, and exactly 0 where equal.
        apart = (F.normalize(a, dim=-1) - F.normalize(b, dim=-1)).square().sum(-1) / 2
        return Mean.of(apart, real)
    gap = a - b if kept is None else torch.where(kept, a - b, 0)
    count = gap.numel() if real is None else real.sum() * gap.shape[-1]
    return Mean(gap.square().sum(), count)


def _attention(
    mine: tuple[str, attention_divergence.AttentionInputs | Tensor],
    yours: tuple[str, attention_divergence.AttentionInputs | Tensor],
    settings: attention_divergence.AttentionSettings,
    real: Tensor | None,
) -> Mean:
    (owner, a), (_, b) = mine, yours
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        counted = _queries(real, a.query.shape[0], a.query.shape[2])
        return Mean(*attention_divergence.attention_divergence(a, b, counted, settings))
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape:
        counted = _queries(real, a.shape[0], a.shape[2])
        return Mean(*attention_divergence.matrix_divergence(a, b, counted, settings))
    raise ObjectiveError(f"the attention of {owner!r} is of another kind or size in each view")


def _queries(real: Tensor | None, rows: int, times: int) -> Tensor | None:
    """Which queries are real tokens; all, where attention runs over something else, as windows."""
    if real is None or real.shape[1] != times or rows % len(real):
        return None
    return real.repeat_interleave(rows // len(real), 0)
