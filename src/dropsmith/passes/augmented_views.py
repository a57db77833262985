"""Two views in one pass: a batch, and its leading rows as an augmentation has changed them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import ViewError
from dropsmith.passes.make_views import views
from dropsmith.passes.view_values import Views, logits_of


def augmented_views(
    model: nn.Module, batch: Mapping[str, Tensor], second: Mapping[str, Tensor]
) -> Views:
    """Two views, of which the second has the leading rows of the first, changed.

    The rows of both go through the model together, each with noise of its own, so that batch
    normalisation sees all of them.

    >>> net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    >>> pair = augmented_views(net, {"input": torch.ones(5, 3)}, {"input": torch.zeros(2, 3)})
    >>> [len(scores) for scores in pair.logits], pair.shared_rows
    ([5, 2], 2)

    Args:
        model: any module whose scores have their rows first.
        batch: its input by name; entries that `forward` does not take are left out.
        second: the leading rows of every entry, some of them changed.

    Raises:
        ViewError: the entries have no rows in common, or the scores have other rows.
    """
    rows = {len(value) for value in batch.values()}, {len(value) for value in second.values()}
    if any(len(counts) != 1 for counts in rows) or batch.keys() != second.keys():
        raise ViewError(
            "the second view has every entry of the batch, and each entry has its rows first; got "
            f"{_sizes(batch)} and {_sizes(second)}"
        )
    (first_rows,), (second_rows,) = rows
    joined: dict[str, Any] = {name: torch.cat([batch[name], second[name]]) for name in batch}
    scores = logits_of(views(model, joined, 1).outputs[0])
    if len(scores) != first_rows + second_rows:
        raise ViewError(
            f"scores of shape {tuple(scores.shape)} are not of {first_rows + second_rows} rows\n"
            "  return scores whose first dimension is the batch"
        )
    first, changed = scores.split([first_rows, second_rows])
    return Views(
        outputs=(first, changed),
        batches=(batch, second),
        rows=first_rows,
        shared_rows=second_rows,
    )


def _sizes(batch: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in batch.items())
