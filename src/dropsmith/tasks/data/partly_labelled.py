"""Training examples of which some have a label and some have none, side by side in every batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.errors import DataError, TaskError
from dropsmith.rng import Key
from dropsmith.tasks.data.label_column import NO_CLASS
from dropsmith.tasks.data.part import Batch, Part
from dropsmith.tasks.data.selection import round_robin
from dropsmith.tasks.images.augmentation import Augmentation

_STREAM = 0x554E4C42
"""Folded into the keys of the order of examples without a label, and of what changes them."""


def divide_labels(part: Part, count: int) -> tuple[Part, Part]:
    """The examples whose labels are known, about equally many of each class, and the others.

    The choice is the same in every run.

    >>> from dropsmith.tasks import Split
    >>> digits = Split({"x": torch.arange(8), "labels": torch.tensor([0, 1] * 4)})
    >>> labelled, others = divide_labels(digits, 4)
    >>> labelled.tensors()["labels"].bincount(), len(others)
    (tensor([2, 2]), 4)

    Args:
        part: the training examples, each with one class.
        count: how many have a label.

    Raises:
        TaskError: examples have no classes, or there are not so many of them.
    """
    labels = part.tensors().get("labels")
    if labels is None or labels.ndim != 1 or labels.is_floating_point():
        raise TaskError(
            "labels= chooses examples of each class, and the examples of this task have no class "
            "each\n  leave out labels; or name examples without a label: unlabelled=PATH"
        )
    classes = len(labels.unique())
    if not classes <= count <= len(labels):
        raise TaskError(
            f"labels={count} is not possible: there are {len(labels)} training examples of "
            f"{classes} classes\n  give a number from {classes} to {len(labels)}"
        )
    order = round_robin(labels.tolist())
    return part.select(order[:count]), part.select(order[count:])


@dataclass(frozen=True)
class PartlyLabelled(Part):
    """Examples with a label, and examples without one that come before them in each batch.

    Both are in an order of their own, each a function of the seed. The label of an example without
    one is −100.

    >>> from dropsmith.tasks import Split
    >>> known = Split({"x": torch.tensor([1, 2]), "labels": torch.tensor([0, 1])})
    >>> part = PartlyLabelled(known, Split({"x": torch.arange(10, 20)}), ratio=2)
    >>> part.batch(1, seed=0, batch_size=1).columns["labels"].tolist()[:2]
    [-100, -100]

    Args:
        labelled: the examples with a label.
        unlabelled: those without; their labels, if they have any, are never seen.
        ratio: how many of these a batch has for each with a label; 0 for none.
        augmentations: what changes the images of these for a second view, in order; where there
            are none, a second view has the whole batch.
    """

    labelled: Part
    unlabelled: Part
    ratio: int = 1
    augmentations: tuple[Augmentation, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.unlabelled):
            raise TaskError(
                "every training example has a label, so there are none without\n"
                "  give fewer labels, or name examples without a label: unlabelled=PATH"
            )
        known, other = (part.rows(slice(0, 1)) for part in (self.labelled, self.unlabelled))
        for name, column in known.items():
            if name == "labels":
                continue
            is_text = column.ndim == 2 and not column.is_floating_point()
            same = name in other and (is_text or other[name].shape == column.shape)
            if not same or other[name].dtype != column.dtype:
                found = "nothing"
                if name in other:
                    found = f"{tuple(other[name].shape[1:])} of {other[name].dtype}"
                raise DataError(
                    f"examples without a label have {found} as {name!r}, those with a label have "
                    f"{tuple(column.shape[1:])} of {column.dtype}\n"
                    "  give examples of the same kind and size"
                )

    def tensors(self) -> Mapping[str, Tensor]:
        return self.labelled.tensors()

    def __len__(self) -> int:
        """All examples, with or without a label: a pass over them is an epoch."""
        return len(self.labelled) + len(self.unlabelled)

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        return self.labelled.rows(index)

    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        known = self.labelled.batch(step, seed=seed, batch_size=batch_size)
        if not self.ratio:
            return known
        other_rows = self._unlabelled_rows(batch_size)
        other = self.unlabelled.batch(step, seed=_stream_seed(seed), batch_size=other_rows)
        rows = len(next(iter(other.columns.values())))
        no_label = known.columns["labels"].new_full((rows,), NO_CLASS)
        other_columns = other.columns | {"labels": no_label}
        columns = {
            name: _below(other_columns[name], column) for name, column in known.columns.items()
        }
        second = self._augmented(columns, rows, step, seed) if self.augmentations else None
        return replace(known, columns=columns, second=second)

    def _augmented(
        self, columns: dict[str, Tensor], rows: int, step: int, seed: int
    ) -> dict[str, Tensor]:
        """The leading rows of a batch, their images changed."""
        second = {name: column[:rows] for name, column in columns.items()}
        images = second[self._images]
        for index, change in enumerate(self.augmentations):
            images = change(images, _stream(seed).fold(step, index))
        return second | {self._images: images}

    @cached_property
    def _images(self) -> str:
        rows = self.labelled.rows(slice(0, 1))
        names = [name for name, column in rows.items() if column.ndim == 4]
        if len(names) != 1:
            raise TaskError(
                f"augmentations change the images of an example, which has {len(names)} columns of "
                f"them: {', '.join(rows)}\n  leave out augment"
            )
        return names[0]

    def _unlabelled_rows(self, batch_size: int) -> int:
        rows = self.ratio * min(batch_size, len(self.labelled))
        return min(rows, len(self.unlabelled))

    def count_examples(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        known = self.count_labelled(step, seed=seed, batch_size=batch_size)
        return ceil((known + self._unlabelled_rows(batch_size)) * share)

    def count_labelled(self, step: int, *, seed: int, batch_size: int) -> int:
        return self.labelled.count_examples(step, seed=seed, batch_size=batch_size)

    def count_second(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        if self.augmentations:
            return self._unlabelled_rows(batch_size)
        return self.count_examples(step, seed=seed, batch_size=batch_size, share=share)

    def batches(self, rows: int) -> Iterator[Batch]:
        """The examples with a label, in order."""
        return self.labelled.batches(rows)

    def rename_input(self, name: str) -> "PartlyLabelled":
        return replace(
            self,
            labelled=self.labelled.rename_input(name),
            unlabelled=self.unlabelled.rename_input(name),
        )


def _stream(seed: int) -> Key:
    return Key.of(seed).fold(_STREAM)


def _stream_seed(seed: int) -> int:
    word = _stream(seed).first
    assert isinstance(word, int)
    return word


def _below(first: Tensor, second: Tensor) -> Tensor:
    """The rows of one column and then those of another, filled up with zeros to one width."""
    if first.ndim == 2 and first.shape[1] != second.shape[1]:
        width = max(first.shape[1], second.shape[1])
        first, second = (F.pad(rows, (0, width - rows.shape[1])) for rows in (first, second))
    return torch.cat([first, second])
