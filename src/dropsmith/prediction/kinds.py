"""The kinds of outputs that a prediction is made of, by name, and the kind that a model states."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from torch import nn

from dropsmith.consistency import problem_of
from dropsmith.errors import NoiseError, ObjectiveError, did_you_mean, excerpt
from dropsmith.terms import output_kind

PredictionKind = Literal[
    "classification",
    "multi_label",
    "ordinal",
    "conditional_ordinal",
    "regression",
    "gaussian",
    "quantile",
]
"""The meaning of a model's outputs.

- `classification`: scores of one class among several, of which a softmax makes probabilities.
- `multi_label`: scores of labels that are each on or off, of which a sigmoid makes probabilities.
- `ordinal`: classes in an order, K - 1 scores for K of them: the sigmoid of score k is the
  probability that the class is above k (McCullagh, 1980; CORAL: Cao, Mirjalili & Raschka, 2020).
- `conditional_ordinal`: as `ordinal`, but the sigmoid of score k is the probability that the class
  is above k where it is above k - 1 (CORN: Shi, Cao & Raschka, 2023).
- `regression`: values.
- `gaussian`: a mean and a variance for each value (Nix & Weigend, 1994).
- `quantile`: quantiles of each value (Koenker & Bassett, 1978).
"""

PREDICTION_KINDS: tuple[PredictionKind, ...] = get_args(PredictionKind)

WITH_CLASSES: tuple[PredictionKind, ...] = ("classification", "ordinal", "conditional_ordinal")
"""Kinds whose outputs are a distribution over classes, along one dimension."""

OF_VALUES: tuple[PredictionKind, ...] = ("regression", "gaussian", "quantile")
"""Kinds whose outputs are values, which have no entropy."""

_OF_PROBLEMS: Mapping[str, PredictionKind] = {
    "regression": "regression",
    "multi_label": "multi_label",
}


def checked_kind(kind: Any) -> PredictionKind:
    """A kind by its name; `NoiseError` where there is none of this name."""
    kind = output_kind(kind)
    if not isinstance(kind, str) or kind not in PREDICTION_KINDS:
        raise NoiseError(
            f"predict: no kind of output is called {excerpt(kind)}\n"
            f"  there are: {', '.join(PREDICTION_KINDS)}" + did_you_mean(kind, PREDICTION_KINDS)
        )
    return kind


def stated_kind(model: nn.Module) -> PredictionKind | None:
    """The kind that a Hugging Face model states by its class and configuration; None for others.

    >>> stated_kind(nn.Linear(2, 3)) is None
    True
    """
    if _is_segmenter(model):
        return "classification"
    problem = _problem(model)
    return None if problem is None else _OF_PROBLEMS.get(problem, "classification")


def stated_class_axis(model: nn.Module) -> int | None:
    """The dimension of the classes that a Hugging Face model states by its class, or None."""
    if _is_segmenter(model):
        return 1
    return None if _problem(model) is None else -1


def is_causal(model: nn.Module) -> bool:
    """Say whether a Hugging Face model scores the next token at each place of a text."""
    return _problem(model) == "causal"


def _is_segmenter(model: nn.Module) -> bool:
    named = type(model).__name__.endswith("ForSemanticSegmentation")
    return named and _label_count(model) is not None


def _problem(model: nn.Module) -> str | None:
    if _label_count(model) is None:
        return None
    try:
        return problem_of(model)
    except ObjectiveError:
        return None


def _label_count(model: nn.Module) -> int | None:
    count = getattr(getattr(model, "config", None), "num_labels", None)
    return count if isinstance(count, int) else None
