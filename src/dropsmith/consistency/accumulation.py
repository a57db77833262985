"""Losses that add up over the micro-batches of an optimiser step, and trainers that count them.

The Trainer of transformers sums the losses of micro-batches if the model takes the number of items,
which it reads from an attribute or from the signature of `forward`. It also counts the first label
of each row, which a causal model never scores, unless the model names its loss.
"""

from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.consistency.state import Consistent
from dropsmith.consistency.task_loss import Counting, LabelledLoss, without_adapters
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import TASK
from dropsmith.terms import Mean, Terms


def scale_to_accumulated_batch(
    terms: Terms,
    items: Tensor | int | None,
    counting: Counting,
    total_weight: float | None = None,
) -> Terms:
    """Average the terms over all items of an optimiser step, and not over these alone.

    The parts of all its micro-batches then add up to the mean over all of them. So do terms over
    something else than items, such as states of layers, if each item has as many of it; else each
    micro-batch's mean weighs as its share of the items. So does a task loss whose items have
    weights, unless the weight of all items of the optimiser step is known.

    Args:
        terms: sums and counts of this micro-batch.
        items: how many items the optimiser step has; None where these are all.
        counting: the task loss, which has counted the items of view 0.
        total_weight: the weight of all items of the optimiser step, where it is known.
    """
    if items is None:
        return terms
    parts = items / torch.as_tensor(counting.items, dtype=torch.float32).clamp(min=1)
    scaled = {name: Mean(term.sum, term.count * parts) for name, term in terms.items()}
    if total_weight is not None:
        weight = torch.as_tensor(counting.weight, dtype=torch.float32)
        parts = total_weight / torch.where(weight > 0, weight, 1.0)
        scaled[TASK] = Mean(terms[TASK].sum, terms[TASK].count * parts)
    return scaled


def scale_with_unlabelled(
    terms: Terms, items: Tensor | int, counting: Counting, total_weight: float | None
) -> Terms:
    """The same for an objective that counts rows without a label, of which there is no total.

    A micro-batch weighs by its labelled items. One without any stays as it is where the whole
    optimiser step has none.

    Raises:
        ObjectiveError: this micro-batch has no label and others have some, so that its weight among
            them is not known.
    """
    if float(counting.items):
        return scale_to_accumulated_batch(terms, items, counting, total_weight)
    if float(items):
        raise ObjectiveError(
            "a batch without any label is one of several that are accumulated, and its term cannot "
            f"be weighed: num_items_in_batch={int(items)} counts labels\n"
            "  give every batch rows with a label, or make an optimiser step of each batch"
        )
    return terms


def set_trainer_attributes(model: nn.Module, state: Consistent) -> None:
    """Mark on the model that its loss takes the number of items, and that a causal one shifts."""
    model = without_adapters(model)
    attributes: dict[str, Any] = {"accepts_loss_kwargs": True}
    causal = isinstance(state.loss, LabelledLoss) and state.loss.problem == "causal"
    if causal and getattr(model, "loss_type", "none of its own") is None:
        attributes["loss_type"] = "ForCausalLM"
    for name, value in attributes.items():
        state.attributes_before[name] = name in model.__dict__, model.__dict__.get(name)
        model.__dict__[name] = value


def reset_trainer_attributes(model: nn.Module, state: Consistent) -> None:
    """Give the model back the attributes that it had before."""
    model = without_adapters(model)
    for name, (was_there, value) in state.attributes_before.items():
        model.__dict__.pop(name, None)
        if was_there:
            model.__dict__[name] = value
