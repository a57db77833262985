"""Sums with their number of items, so that an average is taken once, at the end.

Padding, unequal batches, gradient accumulation and several processes then give the same number: add
the sums, add the counts, divide.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

OutputKind = Literal["classification", "multi_label", "regression"]
"""The meaning of a model's outputs: scores of classes of which one is right, scores of labels that
are each true or false, or values."""
OUTPUT_KINDS: tuple[OutputKind, ...] = ("classification", "multi_label", "regression")
KINDS_IN_RECORDS = {"classification": "classes", "multi_label": "labels", "regression": "values"}
"""Their names in the JSON of objectives, which stay because ids of records depend on them."""


def output_kind(word: Any) -> Any:
    """The kind of output of a name or of its name in records; other words are returned as they are.

    >>> output_kind("values")
    'regression'
    """
    return next((kind for kind, written in KINDS_IN_RECORDS.items() if written == word), word)


@dataclass(frozen=True)
class Mean:
    """A sum over items and the number of items.

    >>> three, one = Mean.of(torch.tensor([1.0, 2.0, 3.0])), Mean.of(torch.tensor([6.0]))
    >>> (three + one).value
    tensor(3.)

    Args:
        sum: a scalar tensor, with its gradient.
        count: the number of items; a scalar tensor or a number.
    """

    sum: Tensor
    count: Tensor | float

    @classmethod
    def of(cls, items: Tensor, mask: Tensor | None = None) -> "Mean":
        """The mean of `items`, or of those where the boolean `mask` of the same shape is True.

        Items outside the mask may be infinite or NaN: they have no part in the value or gradient.
        Half precision is summed in float32, because a sum of 8,000 losses can exceed float16.
        """
        wide = items.dtype
        if wide not in (torch.float32, torch.float64):
            wide = torch.promote_types(wide, torch.float32)
        if mask is None:
            return cls(items.sum(dtype=wide), float(items.numel()))
        kept = torch.where(mask, items, torch.zeros((), dtype=items.dtype, device=items.device))
        return cls(kept.sum(dtype=wide), mask.sum())

    @property
    def value(self) -> Tensor:
        """The mean; zero without items."""
        if not isinstance(self.count, Tensor):
            return self.sum / (self.count or 1)
        count = torch.as_tensor(self.count, dtype=self.sum.dtype, device=self.sum.device)
        return self.sum / torch.where(count > 0, count, torch.ones_like(count))

    @property
    def numbers(self) -> tuple[float, float]:
        """Sum and count as numbers of Python.

        >>> Mean.of(torch.tensor([1.0, 2.0])).numbers
        (3.0, 2.0)
        """
        return float(self.sum), float(self.count)

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.sum + other.sum, self.count + other.count)

    def detach(self) -> "Mean":
        """The same mean without its graph."""
        count = self.count.detach() if isinstance(self.count, Tensor) else self.count
        return Mean(self.sum.detach(), count)


Terms = dict[str, Mean]


def total(terms: Iterable[Mean]) -> Mean:
    """The mean over all items of all terms."""
    terms = list(terms)
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def with_mean_counts(terms: Terms) -> Terms:
    """The terms with their counts averaged over the processes of `torch.distributed`.

    Processes may hold unequal numbers of items. The gradients that DistributedDataParallel averages
    are then those of the mean over the items of all processes, and a coefficient means the same in
    any number of them. In one process the terms are returned as they are. Every process has to
    call it, with terms of the same names.

    >>> with_mean_counts({"task": Mean(torch.tensor(6.0), 3.0)})["task"].value
    tensor(2.)
    """
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return terms
    processes = distributed.get_world_size()
    if processes == 1 or not terms:
        return terms
    device = next(iter(terms.values())).sum.device
    counts = torch.stack(
        [torch.as_tensor(terms[name].count, device=device).double() for name in sorted(terms)]
    )
    distributed.all_reduce(counts)
    means = dict(zip(sorted(terms), counts / processes, strict=True))
    return {name: Mean(term.sum, means[name]) for name, term in terms.items()}


@dataclass(frozen=True)
class Loss:
    """A task's loss on one view, with the items that are counted.

    Args:
        mean: sum and count of the items' losses.
        mask: True for items that are counted, shaped like the logits without their class
            dimension; None for all items. Consistency terms count the same items.
    """

    mean: Mean
    mask: Tensor | None = None

    @property
    def items(self) -> Tensor | float:
        """The number of counted items; with class weights, the count of the mean is their weight.

        >>> Loss(Mean(torch.tensor(6.0), 3.0), torch.tensor([True, False])).items
        tensor(1)
        """
        return self.mean.count if self.mask is None else self.mask.sum()
