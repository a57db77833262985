"""The task loss of a Hugging Face model, computed here because its own hides what it counted."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dropsmith.consistency.label_kinds import are_distributions
from dropsmith.errors import ObjectiveError, did_you_mean, excerpt
from dropsmith.instances import describe, is_function
from dropsmith.numbers import is_share, is_weight
from dropsmith.objectives import CrossEntropyInputs, LossFunction, losses
from dropsmith.passes import Scores, logits_of
from dropsmith.terms import Loss

Problem = Literal[
    "classification",
    "soft_classification",
    "tokens",
    "causal",
    "regression",
    "multi_label",
    "spans",
]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)
_WEIGHABLE = ("classification", "soft_classification", "tokens", "causal")
"""Problems whose classes may have weights."""
_CLASSIFIERS = (
    "ForSequenceClassification",
    "ForImageClassification",
    "ForVideoClassification",
    "ForAudioClassification",
)
_BY_ENDING: dict[str, Problem] = {
    "ForMultipleChoice": "classification",
    "ForNextSentencePrediction": "classification",
    "ForTokenClassification": "tokens",
    "ForMaskedLM": "tokens",
    "ForConditionalGeneration": "tokens",
    "EncoderDecoderModel": "tokens",
    "MTModel": "tokens",
    "WithLMHeadModel": "tokens",
    "ForCausalLM": "causal",
    "BertLMHeadModel": "causal",
    "GPT2LMHeadModel": "causal",
    "OpenAIGPTLMHeadModel": "causal",
    "CTRLLMHeadModel": "causal",
}
_BY_PROBLEM_TYPE: dict[str, Problem] = {
    "regression": "regression",
    "single_label_classification": "classification",
    "multi_label_classification": "multi_label",
}


@dataclass(frozen=True)
class LabelledLoss:
    """The loss of logits against the batch's `labels`, for one kind of problem.

    Labels that are not integers are probabilities of the classes, or separate labels, each on or
    off: their values say which, and `soft_classification` or `multi_label` says so beforehand.
    Spans have `start_positions` and `end_positions` for labels, and a start and an end for items.

    Args:
        problem: the kind of problem.
        label_smoothing: the share of each target that is spread over all classes.
        class_weights: a weight for each class; None for equal ones.
        scores: the place of the scores in an output; None for the usual one.
        is_inferred: whether the problem is that of the model's class, whose own loss takes labels
            that are not integers for separate labels.
    """

    problem: Problem
    label_smoothing: float = 0.0
    scores: Scores | None = None
    is_inferred: bool = False
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.label_smoothing and self.problem in ("regression", "multi_label"):
            raise ObjectiveError(
                f"label smoothing is for one class among several, the task here is {self.problem}"
            )
        if self.class_weights is not None and self.problem not in _WEIGHABLE:
            raise ObjectiveError(
                f"class_weights are for one class among several, the task here is {self.problem}\n"
                "  write a loss function for other weights, which returns a Loss"
            )

    def __call__(self, output: Any, batch: Any) -> Loss:
        logits, labels = logits_of(output, self.scores), self.labels(batch)
        settings = {"label_smoothing": self.label_smoothing, "class_weights": self._weights(logits)}
        if self.problem == "regression":
            return losses.regression(logits, labels)
        if self.problem in ("tokens", "causal"):
            return losses.tokens(logits, labels, self.problem == "causal", **settings)
        if self.problem == "multi_label" or self._separate(logits, labels):
            if self.class_weights is not None:
                raise ObjectiveError(
                    "class_weights are for one class among several, and these labels of "
                    f"{labels.dtype} are each on or off\n"
                    '  for probabilities of classes: loss="soft_classification"'
                )
            return losses.multi_label(logits, labels)
        if self.problem == "spans":
            labels = labels.clamp(min=0)
            labels = labels.masked_fill(labels >= logits.shape[-1], -100)  # cut off with the text
        _check_class_axis(logits, labels)
        return losses.classification(logits, labels, **settings)

    def plain(self) -> "LabelledLoss":
        """The loss that a model computes itself: without smoothing and weights."""
        return replace(self, label_smoothing=0.0, class_weights=None)

    def weight_of(self, batch: Any) -> float | None:
        """The count of the mean that a batch's loss will have, from its labels alone.

        None where that is the number of items.
        """
        labels = batch.get("labels") if isinstance(batch, Mapping) else None
        if self.class_weights is None or not isinstance(labels, Tensor):
            return None
        if labels.is_floating_point():
            return None
        labels = labels[..., 1:] if self.problem == "causal" else labels
        weights = torch.tensor(self.class_weights, dtype=torch.float64)
        return float(weights[labels[labels != -100].cpu().long()].sum())

    def _weights(self, logits: Tensor) -> Tensor | None:
        """The weights of the classes, where the scores are."""
        weights = self.class_weights
        return None if weights is None else torch.tensor(weights, device=logits.device)

    def cross_entropy_inputs(self, output: Any, batch: Any) -> CrossEntropyInputs | None:
        """The scores and labels, where the loss is their plain cross-entropy."""
        if self.problem != "classification" or self.label_smoothing or self.class_weights:
            return None
        scores, labels = logits_of(output, self.scores), self.labels(batch)
        plain = scores.ndim == 2 and labels.dtype == torch.int64 and labels.ndim == 1
        if not plain or len(labels) != len(scores) or not len(labels):
            return None
        return CrossEntropyInputs(scores, labels)

    def _separate(self, logits: Tensor, labels: Tensor) -> bool:
        """Say whether labels are each on or off, though the problem is one class among several."""
        if not labels.is_floating_point() or self.problem == "soft_classification":
            return False
        return self.is_inferred or not are_distributions(logits, labels)

    def labels(self, batch: Any) -> Tensor:
        """The labels that this loss needs of a batch; `ObjectiveError` where they are not there."""
        if self.problem != "spans":
            return labels_of(batch)
        positions = [labels_of(batch, name) for name in ("start_positions", "end_positions")]
        return torch.stack([x.view(-1) for x in positions], dim=1)


def _check_class_axis(logits: Tensor, labels: Tensor) -> None:
    """Refuse scores `[batch, class, ...]`, whose classes would be taken from the last dimension."""
    dense = logits.ndim > 2 and labels.shape == (*logits.shape[:1], *logits.shape[2:])
    if dense and (logits.ndim > 3 or labels.shape != logits.shape[:-1]):
        raise ObjectiveError(
            f"scores of shape {tuple(logits.shape)} have their classes in dimension 1, by labels "
            f"of shape {tuple(labels.shape)}; here they are in the last\n"
            "  move them: consistent(..., scores=lambda output: output.movedim(1, -1))"
        )


class Counting:
    """A loss function that notes how many items it counted when it was first called.

    Attributes:
        weight: the count of that loss's mean: the number of items, or their weight.
    """

    def __init__(self, loss: LossFunction) -> None:
        self.loss = loss
        self.weight: Tensor | float = 0.0
        self._first: Loss | float | None = None

    @property
    def items(self) -> Tensor | float:
        """The number of items."""
        return self._first.items if isinstance(self._first, Loss) else self._first or 0.0

    def __call__(self, output: Any, batch: Any) -> Loss:
        try:
            loss = losses.check_loss(self.loss(output, batch))
        except KeyError as error:
            raise ObjectiveError(
                f"the loss function looked for {error} in the batch\n  {_batch_contents(batch)}"
            ) from error
        if self._first is None:
            self._first, self.weight = loss, loss.mean.count
        return loss

    def cross_entropy_inputs(self, output: Any, batch: Any) -> CrossEntropyInputs | None:
        """Those of the loss function, where it says that it is plain cross-entropy."""
        if isinstance(self.loss, LabelledLoss):
            return self.loss.cross_entropy_inputs(output, batch)
        return None

    def count_items(self, count: float) -> None:
        """Note a count of items that was made without a call."""
        self._first = self.weight = count


def labels_of(batch: Any, name: str = "labels") -> Any:
    """The labels in a batch given by name; raise `ObjectiveError` where there are none."""
    labels = batch.get(name) if isinstance(batch, Mapping) else None
    if labels is None:
        raise ObjectiveError(
            f"a consistent model in training needs {name}, for its loss is made inside it\n"
            f"  {_batch_contents(batch, name)}"
        )
    return labels


def task_loss(
    loss: LossFunction | str | None,
    model: nn.Module,
    label_smoothing: float = 0.0,
    scores: Scores | None = None,
    class_weights: Any = None,
) -> LossFunction:
    """Return the loss of that name, the loss function itself, or else that of the model's class."""
    if not is_share(label_smoothing):
        raise ObjectiveError(
            f"label_smoothing must be a number in [0, 1), got {excerpt(label_smoothing)}\n"
            "  0.1 spreads a tenth of each target over all classes"
        )
    settings = {
        "label_smoothing": label_smoothing,
        "scores": scores,
        "class_weights": None if class_weights is None else _numbers(class_weights),
    }
    if loss is None:
        return LabelledLoss(problem_of(model), is_inferred=True, **settings)
    if getattr(loss, "__module__", "").startswith("torch.nn."):
        raise ObjectiveError(
            f"{getattr(loss, '__name__', type(loss).__name__)} is of torch, which is given scores "
            "and labels; a loss function here is given what the model returned for one view, and "
            f"that view's batch\n  {losses.LOSS_ADVICE}"
        )
    if not is_function(loss) and not isinstance(loss, str):
        raise ObjectiveError(
            f"a task loss is a name or a function, but {describe(loss)} was given\n"
            f'  write loss="classification", or another of {", ".join(PROBLEMS)}'
        )
    if not isinstance(loss, str):
        if label_smoothing or class_weights is not None:
            name = "label_smoothing" if label_smoothing else "class_weights"
            raise ObjectiveError(
                f"{name} belongs to a loss that is named, and a loss function was given\n"
                "  those of dropsmith.objectives.losses take it: "
                "tokens(..., label_smoothing=0.1, class_weights=weights)"
            )
        return loss
    for problem in PROBLEMS:
        if loss == problem:
            return LabelledLoss(problem, **settings)
    raise ObjectiveError(
        f"no task loss is called {excerpt(loss)}\n  there are: {', '.join(PROBLEMS)}"
        + did_you_mean(loss, PROBLEMS)
    )


def _numbers(class_weights: Any) -> tuple[float, ...]:
    """Weights of classes as plain numbers; `ObjectiveError` where they cannot be any."""
    values = class_weights.tolist() if hasattr(class_weights, "tolist") else class_weights
    is_list = isinstance(values, list | tuple) and len(values) > 0
    if not is_list or not all(is_weight(value) for value in values) or not any(values):
        raise ObjectiveError(
            "class_weights must be a list with a number for each class, none negative and not all "
            f"0, got {excerpt(class_weights)}\n"
            "  write class_weights=[1.0, 5.0], for two classes of which the second is rare"
        )
    return tuple(map(float, values))


def problem_of(model: nn.Module) -> Problem:
    """The problem that a Hugging Face model is trained for; `ObjectiveError` for other models."""
    model = without_adapters(model)
    config, name = getattr(model, "config", None), type(model).__name__
    if config is not None and name.endswith(_CLASSIFIERS):
        default: Problem = "classification" if config.num_labels > 1 else "regression"
        return _BY_PROBLEM_TYPE.get(getattr(config, "problem_type", None) or "", default)
    if name.endswith("ForQuestionAnswering") and _takes(model, "start_positions"):
        return "spans"
    problem: Problem | None = next(
        (kind for end, kind in _BY_ENDING.items() if name.endswith(end)), None
    )
    if config is None or problem is None:
        raise ObjectiveError(
            f"the class {name} does not say what its task loss is\n"
            f"  give it: consistent(model, objective, loss=...), one of {', '.join(PROBLEMS)}, or "
            "a function of what the model returned for one view and of that view's batch"
        )
    if name.endswith("ForConditionalGeneration") and not config.is_encoder_decoder:
        return "causal"  # images and text through one decoder
    return problem


def labels_are_optional(loss: LossFunction, model: nn.Module) -> bool:
    """Say whether a model may go without labels, for they serve its own loss alone.

    A Hugging Face model may leave them out, and only an encoder-decoder makes inputs of them.
    """
    config = getattr(without_adapters(model), "config", None)
    if not isinstance(loss, LabelledLoss) or config is None or not _takes(model, "labels"):
        return False
    if getattr(config, "is_encoder_decoder", False):
        return False
    return inspect.signature(model.forward).parameters["labels"].default is None


def without_adapters(model: nn.Module) -> nn.Module:
    """The model inside PEFT's wrapper, or the model itself."""
    inside: Any = getattr(model, "get_base_model", None)
    base: Any = inside() if callable(inside) else model
    return base


def _takes(model: nn.Module, name: str) -> bool:
    return name in inspect.signature(model.forward).parameters


def _batch_contents(batch: Any, name: str = "labels") -> str:
    names = ", ".join(batch) if isinstance(batch, Mapping) else type(batch).__name__
    return (
        f"it was given: {names}\n"
        f"  call it as model(..., {name}=...); a trainer that takes the labels away (label "
        "smoothing, a compute_loss_func) cannot train on this term: give label smoothing and class "
        "weights here, consistent(model, objective, label_smoothing=0.1, class_weights=[1.0, 5.0])."
        " The Trainer of transformers drops labels that forward does not take: "
        "remove_unused_columns=False"
    )
