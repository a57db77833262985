"""Several passes over one batch, as a value: what consistency trains on and prediction averages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from dropsmith.activations import Layer
from dropsmith.errors import ViewError


@dataclass(frozen=True, kw_only=True)
class Views:
    """What each pass returned, beside the batch it saw.

    Args:
        outputs: one per view, exactly as the model returns them for that view's batch.
        batches: one per view; a later one may hold only the first rows of the first.
        shared_rows: how many leading rows all views have in common; None where all are whole.
        layers: the Transformer blocks of each view, in the order in which they ran, where an
            objective reads them; nothing otherwise.
        step: the training step they were made in, where that is known.
        rows: how many rows the first view has; None where that is not known.
    """

    outputs: tuple[Any, ...]
    batches: tuple[Any, ...]
    shared_rows: int | None = None
    layers: tuple[tuple[Layer, ...], ...] = ()
    step: int | None = None
    rows: int | None = None

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def logits(self) -> tuple[Tensor, ...]:
        """The scores of each view: see `logits_of`."""
        return tuple(logits_of(output) for output in self.outputs)

    @property
    def carry(self) -> Any:
        """The state that every view of the next window starts from: view 0's, without its graph.

        None where the model returns no state.
        """
        return detached(state_of(self.outputs[0]))


def state_of(output: Any) -> Any:
    """The recurrent state in what a model returned: `.state` or `["state"]`; None without one."""
    if isinstance(output, Mapping):
        return output.get("state")
    return getattr(output, "state", None)


def detached(value: Any) -> Any:
    """The same tensors without their graph, in the same tuples, lists and mappings."""
    return pytree.tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, value)


def logits_of(output: Any) -> Tensor:
    """The scores in what a model returned: the tensor, `.logits`, `["logits"]`, the first tensor
    of a tuple that is not a scalar; or, of a model that finds spans in texts, the scores of each
    place as the start and as the end, `[batch, 2, time]`.

    >>> logits_of({"logits": torch.ones(2)})
    tensor([1., 1.])
    """
    if isinstance(output, Tensor):
        return output
    found = getattr(output, "logits", None)
    if found is None and isinstance(output, Mapping):
        found = output.get("logits")
    if found is None and isinstance(output, Mapping) and "start_logits" in output:
        return torch.stack([output["start_logits"], output["end_logits"]], dim=1)
    if found is None and isinstance(output, tuple | list):
        # Hugging Face tuples begin with the scalar loss where labels were given.
        found = next((x for x in output if isinstance(x, Tensor) and x.ndim), None)
    if isinstance(found, Tensor):
        return found
    raise ViewError(
        f"cannot find logits in what the model returned, a {type(output).__name__}\n"
        "  looked for: a tensor, .logits, ['logits'], the first tensor of a tuple"
    )
