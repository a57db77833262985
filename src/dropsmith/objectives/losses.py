"""Task losses that say which items they counted, so that consistency counts the same ones.

Each returns sum, count and mask. Scores of items that are not counted are set aside before they
are used: not-a-number in padding reaches neither the loss nor its gradient. Half-precision scores
are widened to float32.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dropsmith.errors import ObjectiveError, excerpt
from dropsmith.kernels import lazy_logits
from dropsmith.numbers import is_share
from dropsmith.objectives._from_head import put_off
from dropsmith.objectives._symmetric import wide
from dropsmith.terms import Loss, Mean
from dropsmith.transforms import transformed

LOSS_ADVICE = (
    "return losses.classification(output.logits, batch['labels']), or another of "
    'dropsmith.objectives.losses; or, in consistent, name the task: loss="classification"'
)
"""Advice to the writer of a loss function, for messages."""


def check_loss(result: Any) -> Loss:
    """Return what a loss function gave; raise `ObjectiveError` where that is no `Loss`."""
    if isinstance(result, Loss):
        return result
    raise ObjectiveError(
        f"the loss function returned a {type(result).__name__}, and no Loss, which says how much "
        f"was counted and what\n  {LOSS_ADVICE}"
    )


def classification(
    logits: Tensor,
    labels: Tensor,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    class_weights: Tensor | None = None,
) -> Loss:
    """Cross-entropy with the label of each item, or with its probabilities of the classes.

    The loss of an item with label y is −log p(y), where p is the softmax of its logits; with
    probabilities q for labels it is −Σ q(c) log p(c). Sum, count and their quotient are those of
    `torch.nn.functional.cross_entropy`:

    - with smoothing ε, (1 − ε) of that plus ε times the mean over classes of −log p(c), save
      classes at −inf;
    - with weights w, w(y) times that, and the count is Σ w(y) in place of the number of items, so
      that the mean is Σ w(y) loss / Σ w(y). Each term of a sum over classes has the weight of its
      class. With probabilities for labels the count is the number of items.

    Smoothing and weights touch this loss alone: consistency compares the outputs as they are, and
    every item counts the same there.

    >>> loss = classification(torch.zeros(3, 2), torch.tensor([0, 1, -100]))
    >>> loss.mean.value, loss.mask
    (tensor(0.6931), tensor([ True,  True, False]))
    >>> classification(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])).mean
    Mean(sum=tensor(0.6931), count=tensor(1))
    >>> rare = torch.tensor([1.0, 3.0])
    >>> classification(torch.zeros(2, 2), torch.tensor([0, 1]), class_weights=rare).mean
    Mean(sum=tensor(2.7726), count=tensor(4.))

    Args:
        logits: `[..., classes]`.
        labels: integers, `[...]`; or the probabilities of the classes, `[..., classes]`, as mixed
            examples have them, which sum to one. An item is an item in both.
        label_smoothing: the share of the target that is spread over all classes, in [0, 1).
        ignore_index: the label of items that are not counted; of probabilities, all of an item's.
        class_weights: a weight for each class, `[classes]`, not negative; None for equal ones.
    """
    if not is_share(label_smoothing):
        raise ObjectiveError(
            f"label_smoothing must be a number in [0, 1), got {excerpt(label_smoothing)}"
        )
    if class_weights is not None:
        _check_class_weights(class_weights, logits)
    if labels.is_floating_point() and labels.shape == logits.shape:
        return _cross_entropy(logits, labels, label_smoothing, ignore_index, class_weights)
    if labels.shape != logits.shape[:-1] or labels.is_floating_point():
        raise _misfit("integer labels", labels, logits, "logits without their class dimension")
    if isinstance(logits, lazy_logits.LazyLogits):
        if class_weights is None and logits.is_pending:
            return put_off(classification, logits, labels, label_smoothing, ignore_index)
        logits = logits.materialise()
    mask = labels != ignore_index
    is_full = _is_full(mask)
    scores, target = logits, labels.long()
    if not is_full:
        target = torch.where(mask, target, 0)
        scores = torch.where(mask.unsqueeze(-1), logits, 0)
    log_p = scores.log_softmax(-1, dtype=wide(logits, logits))
    items = -log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    weights = None if class_weights is None else class_weights.to(log_p)[target]
    if weights is not None:
        items = items * weights
    if label_smoothing:
        spread = _spread(log_p, class_weights)
        items = (1 - label_smoothing) * items + label_smoothing * spread
    mean = Mean.of(items, None if is_full else mask)
    if weights is not None:
        mean = Mean(mean.sum, torch.where(mask, weights, 0).sum())
    return Loss(mean, mask)


def _check_class_weights(weights: Tensor, logits: Tensor) -> None:
    if weights.shape != logits.shape[-1:]:
        raise ObjectiveError(
            f"class_weights must have a number for each of {logits.shape[-1]} classes, got "
            f"{tuple(weights.shape)}"
        )


def _is_full(mask: Tensor) -> bool:
    """Say whether every item counts; False where looking waits for a device or a compiler."""
    if mask.device.type != "cpu" or torch.compiler.is_compiling() or transformed(mask):
        return False
    return type(mask) is Tensor and bool(mask.all())


def tokens(
    logits: Tensor,
    labels: Tensor,
    shift: bool = False,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    class_weights: Tensor | None = None,
) -> Loss:
    """Cross-entropy of each token that is not padding; see `classification`.

    >>> labels = torch.tensor([[5, 1, 0, -100]])
    >>> tokens(torch.zeros(1, 4, 6), labels, shift=True).mask
    tensor([[ True,  True, False, False]])

    Args:
        logits: `[batch, time, classes]`.
        labels: `[batch, time]`, `ignore_index` at padding.
        shift: whether labels are the inputs of a causal model, so that the scores at each position
            belong to the label at the next one; the last position is then not counted.
        label_smoothing: see `classification`.
        ignore_index: the label of padding.
        class_weights: see `classification`.
    """
    if shift and labels.is_floating_point():
        raise _misfit("integer labels", labels, logits, "logits without their class dimension")
    if shift:
        end = torch.full_like(labels[..., :1], ignore_index)
        labels = torch.cat((labels[..., 1:], end), dim=-1)
    return classification(logits, labels, label_smoothing, ignore_index, class_weights)


def multi_label(logits: Tensor, labels: Tensor, ignore_index: int = -100) -> Loss:
    """Binary cross-entropy of each label; an item is one label of one example.

    >>> multi_label(torch.zeros(2, 3), torch.ones(2, 3)).mean.count
    tensor(6)

    Args:
        logits: scores before the sigmoid, of any shape.
        labels: of the same shape, in [0, 1].
        ignore_index: the label of items that are not counted.
    """
    if labels.shape != logits.shape:
        raise _misfit("labels", labels, logits, "logits")
    mask = labels != ignore_index
    dtype = wide(logits, logits)
    scores = torch.where(mask, logits, 0).to(dtype)
    target = torch.where(mask, labels, 0).to(dtype)
    # 0 × −inf is not a number: a label that is off asks nothing of an impossible score.
    items = softplus(scores) - torch.where(target == 0, 0, scores * target)
    return Loss(Mean.of(items, mask), mask)


def regression(values: Tensor, labels: Tensor, mask: Tensor | None = None) -> Loss:
    """Squared error of each value; an item is one value.

    >>> regression(torch.zeros(2, 1), torch.tensor([1.0, 3.0])).mean.value
    tensor(5.)

    Args:
        values: predictions, of any shape.
        labels: of the same shape; or `[...]` for predictions `[..., 1]`. Nothing is broadcast.
        mask: which labels to count, shaped like `labels`; None for all.
    """
    if values.shape == (*labels.shape, 1):
        values = values.squeeze(-1)
    if values.shape != labels.shape or (mask is not None and mask.shape != labels.shape):
        raise _misfit("labels and mask", labels, values, "predictions")
    error = values.to(wide(values, labels)) - labels
    if mask is not None:
        error = torch.where(mask, error, 0)
    return Loss(Mean.of(error.square(), mask), mask)


def _cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float, ignore_index: int, weights: Tensor | None
) -> Loss:
    """Cross-entropy with probabilities `[..., classes]`."""
    if isinstance(logits, lazy_logits.LazyLogits):
        logits = logits.materialise()
    mask = ~(labels == ignore_index).all(-1)
    scores = torch.where(mask.unsqueeze(-1), logits, 0)
    log_p = scores.log_softmax(-1, dtype=wide(logits, logits))
    target = torch.where(mask.unsqueeze(-1), labels, 0).to(log_p.dtype)
    if weights is not None:
        target = target * weights.to(log_p)
    # 0 × −inf is not a number: a class of probability 0 asks nothing of an impossible score.
    items = -torch.where(target == 0, 0, target * log_p).sum(-1)
    if smoothing:
        items = (1 - smoothing) * items + smoothing * _spread(log_p, weights)
    return Loss(Mean.of(items, mask), mask)


def _spread(log_p: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean over possible classes of −log p, each with its weight."""
    never = log_p.isneginf()
    possible = log_p.masked_fill(never, 0)
    if weights is not None:
        possible = possible * weights.to(log_p)
    return -possible.sum(-1) / (~never).sum(-1).clamp(min=1)


def _misfit(subject: str, labels: Tensor, outputs: Tensor, like: str) -> ObjectiveError:
    return ObjectiveError(
        f"{subject} must be shaped like the {like}\n"
        f"  outputs: {tuple(outputs.shape)}\n  labels: {tuple(labels.shape)} {labels.dtype}"
    )
