"""R-Drop's loss of a model by hand: two passes with keys, and torch for the divergence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dropsmith as ds


@contextmanager
def view_of(model: nn.Module, view: int) -> Iterator[None]:
    """Run the model with the masks of a view at its present step: the only internals in use."""
    from dropsmith.noise import ForwardPass

    with ds.noise_of(model).passing(ForwardPass(views=(view,))):
        yield


def two_passes(model: nn.Module, batch: dict[str, Any]) -> list[Any]:
    """The outputs of the first training step's two views, one forward after the other."""
    ds.step(model, 1)
    outputs = []
    for view in range(2):
        with view_of(model, view):
            outputs.append(model(**batch))
    return outputs


def labels_are_shifted(output: Any, labels: Tensor | None) -> bool:
    """Whether a model's own loss is that of the next word's label, and not of the word's own."""
    own, scores = getattr(output, "loss", None), _scores(output)
    words = labels is not None and labels.ndim == 2 and scores.shape[:-1] == labels.shape
    if own is None or not words or labels.is_floating_point():
        return False
    here = F.cross_entropy(scores.flatten(0, 1).float(), labels.flatten())
    following = F.cross_entropy(scores[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
    return bool((own - following).abs() < (own - here).abs())


def term_by_hand(outputs: list[Any], labels: Tensor | None, shift: bool) -> float:
    """½ (KL(p‖q) + KL(q‖p)), the mean over the items that have a label."""
    p, q = (_scores(output).double().log_softmax(-1) for output in outputs)
    if shift:
        p, q = p[:, :-1], q[:, :-1]
    # A class that neither view thinks possible adds nothing.
    items = 0.5 * torch.where(p == q, 0.0, (p.exp() - q.exp()) * (p - q)).sum(-1)
    if labels is not None and shift:
        labels = labels[:, 1:]
    if labels is not None and labels.shape == items.shape:
        items = items[labels != -100]
    return float(items.mean())


def _scores(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    if getattr(output, "logits", None) is None:
        return torch.stack([output.start_logits, output.end_logits], 1)
    return output.logits
