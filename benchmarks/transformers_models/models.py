"""Building a model class small, with a batch it takes; and scores where it has none of its own."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from benchmarks.transformers_models.batches import Batch, Unsuited, batch_for
from benchmarks.transformers_models.classes import ModelClass
from benchmarks.transformers_models.configs import small
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.terms import Loss, Mean

MOST = 20_000_000
"""Parameters beyond which a model is not small, so that its configuration needs an override."""


class Scored(nn.Module):
    """A model whose output has no scores, with a head on what it returns: the way it is used.

    Args:
        model: any model of transformers.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, labels: Any = None, **batch: Any) -> Tensor:
        output = self.model(**batch)
        scores = getattr(output, "logits", None)
        if isinstance(scores, tuple):  # of several heads
            return scores[0]
        return _summary(features(output)) if scores is None else scores


def _summary(hidden: Tensor) -> Tensor:
    """A few numbers for each row, of all its places."""
    return (hidden if hidden.ndim == 2 else hidden.flatten(1, -2).mean(1))[:, :5]


def features(output: Any) -> Tensor:
    """Hidden states, or the first tensor of real numbers with a dimension besides rows."""
    hidden = getattr(output, "last_hidden_state", None)
    if isinstance(hidden, Tensor) and getattr(output, "logits", None) is None:
        return hidden
    leaves = pytree.tree_leaves(dict(output) if isinstance(output, dict) else output)
    found = [x for x in leaves if isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 1]
    if not found:
        raise Unsuited("its output holds no tensor of real numbers with rows")
    return found[0]


def squares(output: Any, batch: Any) -> Loss:
    """A loss for models that have none: the mean square of each row's scores."""
    scores = output if isinstance(output, Tensor) else features(output)
    return Loss(Mean.of(scores.float().square().flatten(1).mean(1)))


@dataclass(frozen=True)
class Subject:
    """A model class with a batch for it.

    Args:
        kind: the class.
        model: a small one, in train mode, without noise other than dropout.
        batch: what it takes, by name.
    """

    kind: ModelClass
    model: nn.Module
    batch: Batch

    @classmethod
    def of(cls, kind: ModelClass) -> "Subject":
        """A small model of the class, and a batch; `Unsuited` where there is none."""
        model = _build(kind, skips=False)
        batch = batch_for(model, kind.labels)
        return cls(kind, _build(kind, skips=False).train(), batch)

    def copy(self) -> nn.Module:
        """The same weights in train mode; a state that the model keeps is that of the start."""
        return deepcopy(self.model)

    def scored(self) -> nn.Module:
        """The same with scores for an output, its own where it has them."""
        return self.copy() if self.has_logits else Scored(self.copy())

    def labelled(self) -> nn.Module:
        """The model itself where it has scores and labels, or one whose loss is given."""
        return self.copy() if self.has_logits and self.has_labels else Scored(self.copy())

    @property
    def has_labels(self) -> bool:
        """Whether there is something in the batch to compute a loss from."""
        return bool({"labels", "start_positions"} & set(self.batch))

    @property
    def noisy(self) -> nn.Module:
        """One that also skips layers and branches and masks spectra, where it can."""
        try:
            model = _build(self.kind, skips=True).train()
            deepcopy(model)(**deepcopy(self.batch))
        except Exception:
            # Some take no such rate, or cannot be trained with their own masks on so small a batch.
            return self.copy()
        return model

    @cached_property
    def output(self) -> Any:
        """What it returns in eval mode."""
        with torch.no_grad():
            return self.copy().eval()(**self.batch)

    @property
    def has_logits(self) -> bool:
        """Whether the library finds scores in its output by itself."""
        known = ("logits", "start_logits")
        return any(isinstance(getattr(self.output, name, None), Tensor) for name in known)

    @property
    def unlabelled(self) -> Batch:
        """The batch without what the task's loss is computed from."""
        targets = ("labels", "start_positions", "end_positions")
        dropped = targets if not self.model.config.is_encoder_decoder else ()
        return {name: value for name, value in self.batch.items() if name not in dropped}


def _build(kind: ModelClass, *, skips: bool) -> nn.Module:
    more = {"num_labels": 2} if kind.labels == "spans" else {}
    config = small(kind.config_type, skips=skips, **more)
    with torch.device("meta"):
        size = sum(p.numel() for p in kind.type(config).parameters())
    if size > MOST:
        raise Unsuited(f"{size / 1e6:.0f} million parameters")
    torch.manual_seed(0)
    return kind.type(small(kind.config_type, skips=skips, **more))
