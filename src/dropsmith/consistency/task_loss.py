"""The task loss of a Hugging Face model, computed here because its own hides what it counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn

from dropsmith.errors import ObjectiveError, did_you_mean
from dropsmith.objectives import LossFunction
from dropsmith.objectives.losses import classification, multi_label, regression, tokens
from dropsmith.terms import Loss
from dropsmith.views import logits_of

Problem = Literal["classification", "tokens", "causal", "regression", "multi_label"]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)
_WHOLE = (
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

    Classes with labels that are not integers are separate labels, each on or off.
    """

    problem: Problem

    def __call__(self, output: Any, batch: Any) -> Loss:
        logits, labels = logits_of(output), labels_of(batch)
        if self.problem == "regression":
            return regression(logits, labels)
        if self.problem in ("tokens", "causal"):
            return tokens(logits, labels, shift=self.problem == "causal")
        if self.problem == "multi_label" or labels.is_floating_point():
            return multi_label(logits, labels)
        return classification(logits, labels)


class Counting:
    """A loss function that notes how many items it counted when it was first called."""

    def __init__(self, loss: LossFunction) -> None:
        self.loss = loss
        self.first: Tensor | float = 0.0
        self.called = False

    def __call__(self, output: Any, batch: Any) -> Loss:
        try:
            loss = self.loss(output, batch)
        except KeyError as error:
            raise ObjectiveError(
                f"the loss function looked for {error} in the batch\n  {_given(batch)}"
            ) from error
        if not self.called:
            self.first, self.called = loss.mean.count, True
        return loss


def labels_of(batch: Any) -> Any:
    """The `labels` in a batch given by name; raise `ObjectiveError` where there are none."""
    labels = batch.get("labels") if isinstance(batch, Mapping) else None
    if labels is None:
        raise ObjectiveError(
            "a consistent model in training needs labels, for its loss is made inside it\n"
            f"  {_given(batch)}"
        )
    return labels


def task_loss(loss: LossFunction | str | None, model: nn.Module) -> LossFunction:
    """The loss that was given, by name or as a function, or else the model's own."""
    if loss is None:
        return loss_of(model)
    if not isinstance(loss, str):
        return loss
    for problem in PROBLEMS:
        if loss == problem:
            return LabelledLoss(problem)
    raise ObjectiveError(
        f"no task loss is called {loss!r}\n  there are: {', '.join(PROBLEMS)}"
        + did_you_mean(loss, PROBLEMS)
    )


def loss_of(model: nn.Module) -> LossFunction:
    """The task loss a Hugging Face model is trained with; `ObjectiveError` for any other model."""
    config, name = getattr(model, "config", None), type(model).__name__
    if config is not None and name.endswith(_WHOLE):
        declared = _BY_PROBLEM_TYPE.get(getattr(config, "problem_type", None) or "")
        usual: Problem = "classification" if config.num_labels > 1 else "regression"
        return LabelledLoss(declared or usual)
    found: Problem | None = next(
        (kind for end, kind in _BY_ENDING.items() if name.endswith(end)), None
    )
    if config is None or found is None:
        raise ObjectiveError(
            f"cannot tell the task loss of a {name}\n"
            f"  give it: consistent(model, objective, loss=...), one of {', '.join(PROBLEMS)}, or "
            "a function of what the model returned for one view and of that view's batch"
        )
    if name.endswith("ForConditionalGeneration") and not config.is_encoder_decoder:
        return LabelledLoss("causal")  # images and text through one decoder
    return LabelledLoss(found)


def _given(batch: Any) -> str:
    names = ", ".join(batch) if isinstance(batch, Mapping) else type(batch).__name__
    return (
        f"it was given: {names}\n"
        "  call it as model(..., labels=...); a trainer that takes the labels away (label "
        "smoothing, a loss function of its own) cannot train on this term"
    )
