"""The task loss of a Hugging Face model, computed here because its own hides what it counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import LossFunction
from dropsmith.objectives.losses import classification, multi_label, regression, tokens
from dropsmith.terms import Loss
from dropsmith.views import logits_of

Problem = Literal["classification", "tokens", "causal", "regression", "multi_label"]
_BY_ENDING: dict[str, Problem] = {
    "ForSequenceClassification": "classification",
    "ForImageClassification": "classification",
    "ForAudioClassification": "classification",
    "ForMultipleChoice": "classification",
    "ForNextSentencePrediction": "classification",
    "ForTokenClassification": "tokens",
    "ForMaskedLM": "tokens",
    "ForConditionalGeneration": "tokens",
    "MTModel": "tokens",
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
}
_BY_PROBLEM_TYPE: dict[str, Problem] = {
    "regression": "regression",
    "single_label_classification": "classification",
    "multi_label_classification": "multi_label",
}


@dataclass(frozen=True)
class LabelledLoss:
    """The loss of logits against the batch's `labels`, for one kind of problem."""

    problem: Problem

    def __call__(self, output: Any, batch: Any) -> Loss:
        logits, labels = logits_of(output), labels_of(batch)
        if self.problem == "classification":
            return classification(logits, labels)
        if self.problem in ("tokens", "causal"):
            return tokens(logits, labels, shift=self.problem == "causal")
        if self.problem == "multi_label":
            return multi_label(logits, labels)
        return regression(logits, labels)


def labels_of(batch: Any) -> Any:
    """The `labels` in a batch given by name; raise `ObjectiveError` where there are none."""
    labels = batch.get("labels") if isinstance(batch, Mapping) else None
    if labels is None:
        given = ", ".join(batch) if isinstance(batch, Mapping) else type(batch).__name__
        raise ObjectiveError(
            "a consistent model in training needs labels, for its loss is made inside it\n"
            f"  it was given: {given}\n"
            "  call it as model(..., labels=...); a trainer that takes the labels away (label "
            "smoothing, a loss function of its own) cannot train on this term"
        )
    return labels


def loss_of(model: nn.Module) -> LossFunction:
    """The task loss a Hugging Face model is trained with; `ObjectiveError` for any other model."""
    config, name = getattr(model, "config", None), type(model).__name__
    declared = _BY_PROBLEM_TYPE.get(getattr(config, "problem_type", None) or "")
    found = next((kind for end, kind in _BY_ENDING.items() if name.endswith(end)), None)
    if config is None or found is None:
        raise ObjectiveError(
            f"cannot tell the task loss of a {name}\n"
            "  give it: consistent(model, objective, loss=function), where the function takes what "
            "the model returned for one view and that view's batch and returns a Loss, such as\n"
            "  lambda output, batch: objectives.losses.classification(output, batch['labels'])"
        )
    if name.endswith("ForSequenceClassification") and getattr(config, "num_labels", 2) == 1:
        return LabelledLoss(declared or "regression")
    return LabelledLoss(declared or found)
