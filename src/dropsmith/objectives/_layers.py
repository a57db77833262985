"""Distances between the Transformer blocks of two views, stack by stack, at real tokens."""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.activations import Layer
from dropsmith.errors import ObjectiveError
from dropsmith.kernels import attention_divergence
from dropsmith.objectives._padding import real_tokens
from dropsmith.objectives._query_sample import QuerySample
from dropsmith.objectives._stacks import Stack, cut_rows, leading_batch, stacks_of
from dropsmith.passes import Views
from dropsmith.terms import Mean, Terms, total


@dataclass(frozen=True, kw_only=True)
class LayerAgreement:
    """The parts of each block that are compared, and their distances.

    Args:
        hidden: the distance of hidden states, or None to leave them out.
        attention: the distance of attention probabilities, or None to leave them out.
        cross: whether a decoder's attention to its encoder is compared as well.
        layers: which blocks of each stack, by number, negative from the end; all where None.
        stop_gradient: the view that is a constant, or None.
        fraction: the share of the queries from which the distance of attention is estimated.
    """

    hidden: str | None
    attention: str | None
    cross: bool
    layers: tuple[int, ...] | None
    stop_gradient: int | None
    fraction: float = 1.0


def layer_terms(views: Views, agreement: LayerAgreement, label_mask: Tensor | None) -> Terms:
    """A mean over the blocks of each stack: `hidden`, `attention` and `cross`, each with its stack.

    A stack's name is left out where there is one only. What the views share is the same in all of
    them, and is not counted.

    Args:
        views: with their layers.
        agreement: what is compared.
        label_mask: which tokens view 0's loss counts.
    """
    terms: Terms = {}
    stacks = stacks_of(views, agreement.layers, agreement.stop_gradient)
    for stack in stacks:
        real = real_tokens(stack.views[0], leading_batch(views), cut_rows(label_mask, views, 0))
        suffix = f" {stack.name}" if len(stacks) > 1 else ""
        for part, means in _parts(stack, agreement, real, views.step).items():
            if means:
                terms[part + suffix] = total(means)
    _check_any(terms, views, agreement)
    return terms


def _check_any(terms: Terms, views: Views, agreement: LayerAgreement) -> None:
    """Refuse a part of which nothing is left, where all of it is below a trunk's end."""
    if not any(layer.shared_hidden or layer.shared_attention for layer in views.layers[0]):
        return
    part_names = {name.split(" ")[0] for name in terms}
    for distance, part, names in (
        (agreement.hidden, "hidden", {"hidden"}),
        (agreement.attention, "attention", {"attention", "cross"}),
    ):
        if distance is not None and not names & part_names:
            raise ObjectiveError(
                f"the views share all that {part} is to agree in: it is below the trunk's end\n"
                f"  end the trunk earlier, choose layers above it, or set {part}=0"
            )


def _parts(
    stack: Stack, agreement: LayerAgreement, real: Tensor | None, step: int | None
) -> dict[str, list[Mean]]:
    sample = QuerySample.of(agreement.fraction, step, stack.name)
    means: dict[str, list[Mean]] = {"hidden": [], "attention": [], "cross": []}
    for number, blocks in enumerate(zip(*stack.views, strict=True)):
        for first, second in combinations(blocks, 2):
            if agreement.hidden is not None and not first.shared_hidden:
                means["hidden"].append(_hidden(first, second, agreement.hidden, real))
            if agreement.attention is None:
                continue
            settings = attention_divergence.AttentionSettings(distance=agreement.attention)  # pyright: ignore
            for first_call, second_call in zip(first.attention, second.attention, strict=True):
                part = "attention" if first_call[0] == first.attention[0][0] else "cross"
                if first_call[0] not in first.shared_attention and (
                    part == "attention" or agreement.cross
                ):
                    of_block = None if sample is None else sample.of_block(number)
                    means[part].append(
                        _attention(first_call, second_call, settings, real, of_block)
                    )
    return means


def _hidden(first: Layer, second: Layer, distance: str, real: Tensor | None) -> Mean:
    assert first.hidden is not None
    assert second.hidden is not None
    wide = torch.promote_types(first.hidden.dtype, torch.float32)
    a, b = first.hidden.to(wide), second.hidden.to(wide)
    mask = None if real is None else real.unsqueeze(-1)
    if distance == "cosine":
        a, b = (x if mask is None else torch.where(mask, x, 0) for x in (a, b))
        # 1 − cos is half the squared difference of the directions, and exactly 0 where equal.
        apart = (F.normalize(a, dim=-1) - F.normalize(b, dim=-1)).square().sum(-1) / 2
        return Mean.of(apart, real)
    gap = a - b if mask is None else torch.where(mask, a - b, 0)
    count = gap.numel() if real is None else real.sum() * gap.shape[-1]
    return Mean(gap.square().sum(), count)


def _attention(
    first_call: tuple[str, attention_divergence.AttentionInputs | Tensor],
    second_call: tuple[str, attention_divergence.AttentionInputs | Tensor],
    settings: attention_divergence.AttentionSettings,
    real: Tensor | None,
    sample: QuerySample | None,
) -> Mean:
    (owner, a), (_, b) = first_call, second_call
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        queries = _queries(real, a.query.shape[0], a.query.shape[2])
        if sample is not None:
            some = sample.queries(a.query.shape[2], a.query.device)
            return Mean(*attention_divergence.sampled_divergence(a, b, queries, settings, some))
        return Mean(*attention_divergence.attention_divergence(a, b, queries, settings))
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape:
        queries = _queries(real, a.shape[0], a.shape[2])
        if sample is not None:
            some = sample.queries(a.shape[2], a.device)
            return Mean(
                *attention_divergence.sampled_matrix_divergence(a, b, queries, settings, some)
            )
        return Mean(*attention_divergence.matrix_divergence(a, b, queries, settings))
    raise ObjectiveError(f"the attention of {owner!r} is of another kind or size in each view")


def _queries(real: Tensor | None, rows: int, times: int) -> Tensor | None:
    """The mask of queries that are real tokens; None where attention runs over other things."""
    if real is None or real.shape[1] != times or rows % len(real):
        return None
    return real.repeat_interleave(rows // len(real), 0)
