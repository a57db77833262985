"""R-Drop's loss from its definition, in float64, on views made one after the other."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dropsmith as ds

ALPHA = 4.0
PLAN = ds.Plan(ds.rule(ds.select(kind="dropout"), ds.Bernoulli(rate=0.3, shared="batch")))
"""One mask for every row: a batch and its parts then have the same noise."""


@dataclass(frozen=True)
class Hand:
    """What one step should have: its loss, and its gradient by name."""

    loss: float
    gradients: dict[str, Tensor]

    @property
    def norm(self) -> float:
        return float(torch.stack([g.square().sum() for g in self.gradients.values()]).sum().sqrt())


def hand(
    model: nn.Module, batch: dict[str, Tensor], shift: bool = False, smoothing: float = 0.0
) -> Hand:
    """The first step of a copy of `model`, which has no plan yet, on a whole batch."""
    model = deepcopy(model).double()
    PLAN.install(model)
    labels = batch["labels"]
    given = batch if _needs_labels(model) else {k: v for k, v in batch.items() if k != "labels"}
    outputs = ds.views(model, given, mode="looped").outputs
    scores = [getattr(output, "logits", output) for output in outputs]
    if shift:
        scores, labels = [z[:, :-1] for z in scores], labels[:, 1:]
    counted = labels != -100
    first, second = (z[counted] for z in scores)
    task = [F.cross_entropy(z, labels[counted], label_smoothing=smoothing) for z in (first, second)]
    loss = sum(task) / 2 + ALPHA / 2 * _symmetric(first.log_softmax(-1), second.log_softmax(-1))
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    names, parameters = zip(*trained, strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return Hand(
        float(loss.detach()), {n: g for n, g in zip(names, found, strict=True) if g is not None}
    )


def _symmetric(log_p: Tensor, log_q: Tensor) -> Tensor:
    there = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    return (there + F.kl_div(log_p, log_q, log_target=True, reduction="batchmean")) / 2


def _needs_labels(model: nn.Module) -> bool:
    """Models with a decoder make its inputs from the labels."""
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def held_step(model: nn.Module) -> nn.Module:
    """The model with a step that does not move on, so that micro-batches have the same masks."""
    model.register_forward_pre_hook(_first_step, prepend=True)
    return model


def _first_step(module: nn.Module, args: Any) -> None:
    ds.step(module, 0)


def assert_took_the_step(model: nn.Module, start: dict[str, Tensor], by: Hand, rate: float) -> None:
    """The parameters moved from `start` against the gradient, `rate` times as far."""
    for name, value in model.named_parameters():
        if name in by.gradients:
            moved = (start[name] - value.detach()).double() / rate
            torch.testing.assert_close(moved, by.gradients[name], rtol=1e-3, atol=2e-5)
