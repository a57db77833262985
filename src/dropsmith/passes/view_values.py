"""The outputs of several passes over one batch, for consistency training and for prediction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from dropsmith.activations import Layer
from dropsmith.errors import ViewError, excerpt
from dropsmith.instances import is_function
from dropsmith.numbers import is_count

Scores = str | int | Callable[[Any], Tensor]
"""A place in a model's output that holds the scores: a name, an index, or a function of it."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """The outputs of several passes, and the batch of each pass.

    Args:
        outputs: one per view, exactly as the model returns them for that view's batch.
        batches: one per view; a later one may hold only the first rows of the first.
        shared_rows: how many leading rows all views have in common; None where all are whole.
        layers: the Transformer blocks of each view, in the order in which they ran, where an
            objective reads them; nothing otherwise.
        step: the training step in which they were made, if that is known.
        rows: how many rows the first view has; None where that is not known.
        scores: the place of the scores in an output; None for the usual one, see `logits_of`.
    """

    outputs: tuple[Any, ...]
    batches: tuple[Any, ...]
    shared_rows: int | None = None
    layers: tuple[tuple[Layer, ...], ...] = ()
    step: int | None = None
    rows: int | None = None
    scores: Scores | None = None

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def logits(self) -> tuple[Tensor, ...]:
        """The scores of each view: see `logits_of`."""
        return tuple(logits_of(output, self.scores) for output in self.outputs)

    @property
    def carry(self) -> Any:
        """The state that every view of the next window starts from: view 0's, without its graph.

        None where the model returns no state.
        """
        return detach_tensors(state_of(self.outputs[0]))


def state_of(output: Any) -> Any:
    """The recurrent state in what a model returned: `.state` or `["state"]`; None without one."""
    if isinstance(output, Mapping):
        return output.get("state")
    return getattr(output, "state", None)


def detach_tensors(value: Any) -> Any:
    """Detach tensors from their graph, in the same tuples, lists and mappings."""
    return pytree.tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, value)


def logits_of(output: Any, scores: Scores | None = None) -> Tensor:
    """The scores in what a model returned.

    Where no place is given, that is the tensor itself, `.logits`, `["logits"]`, or the first
    tensor of a tuple that is floating and no scalar: a loss or chosen classes may stand before it.
    Of a model that finds spans in texts, it is the scores of each place as the start and as the
    end, `[batch, 2, time]`.

    >>> logits_of({"logits": torch.ones(2)})
    tensor([1., 1.])
    >>> logits_of({"prediction": torch.ones(2)}, scores="prediction")
    tensor([1., 1.])

    Args:
        output: what a model returned for one view.
        scores: the place of the scores: a name, an index, or a function of the output.

    Raises:
        ViewError: there are no scores at the place, or at none of the usual ones.
    """
    if scores is None and isinstance(output, Tensor):
        return output
    logits = _usual_scores(output) if scores is None else _scores_at(output, scores)
    if isinstance(logits, Tensor):
        return logits
    if scores is not None:
        raise ViewError(
            f"scores={excerpt(scores)} names no tensor in what the model returned: {_parts(output)}"
        )
    raise ViewError(
        f"cannot find logits in what the model returned: {_parts(output)}\n"
        "  looked for: a tensor, .logits, ['logits'], the first floating tensor of a tuple\n"
        "  say where they are: scores= a name, an index, or a function of the output"
    )


def check_scores(scores: object) -> None:
    """Raise `ViewError` unless this may be the place of the scores in what a model returns."""
    is_place = isinstance(scores, str | None) or is_function(scores) or is_count(scores, -64)
    if not is_place:
        raise ViewError(
            f"scores must be a name, an index or a function of the output, got {excerpt(scores)}"
        )


def _usual_scores(output: Any) -> Any:
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, Mapping):
        logits = output.get("logits")
    if logits is None and has_spans(output):
        return torch.stack([output["start_logits"], output["end_logits"]], dim=1)
    if logits is None and isinstance(output, tuple | list):
        # Hugging Face tuples begin with the scalar loss where labels were given.
        return next((x for x in output if _is_scores(x)), None)
    return logits


def has_spans(output: Any) -> bool:
    """Say whether an output holds the scores of starts and ends of spans instead of logits."""
    return isinstance(output, Mapping) and "logits" not in output and "start_logits" in output


def _is_scores(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and value.is_floating_point()


def _scores_at(output: Any, scores: Scores) -> Any:
    if callable(scores):
        return scores(output)
    if isinstance(scores, str) and not isinstance(output, Mapping):
        return getattr(output, scores, None)
    as_tuple = getattr(output, "to_tuple", None)
    if isinstance(scores, int) and as_tuple is not None:
        output = as_tuple()
    try:
        return output[scores]
    except (KeyError, IndexError, TypeError):
        return None


def _parts(output: Any) -> str:
    """The type and the parts of an output, in words."""
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} of {', '.join(map(str, output)) or 'nothing'}"
    if isinstance(output, tuple | list):
        names = getattr(output, "_fields", [type(value).__name__ for value in output])
        return f"a {type(output).__name__} of {', '.join(names) or 'nothing'}"
    return f"a {type(output).__name__}"
