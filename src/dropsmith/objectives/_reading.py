"""Objectives from JSON, by name; reading one never runs code from the file."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from inspect import isabstract
from typing import Any

from dropsmith.errors import ObjectiveError, did_you_mean, excerpt
from dropsmith.instances import wrong_instance
from dropsmith.objectives._objective import NAMES_IN_JSON, Objective
from dropsmith.objectives.activation import ActivationNorm
from dropsmith.objectives.fix_match import FixMatch
from dropsmith.objectives.lr_drop import LRDrop
from dropsmith.objectives.r_drop import RDrop
from dropsmith.objectives.squared import ExpectationLinear, Fraternal, PiModel, SquaredDistance
from dropsmith.objectives.task_loss import TaskLoss, TwoSample
from dropsmith.objectives.uda import UDA
from dropsmith.user_code import import_advice, imported_class

OBJECTIVES: dict[str, type[Objective]] = {
    "TaskLoss": TaskLoss,
    "TwoSample": TwoSample,
    "SquaredDistance": SquaredDistance,
    "Fraternal": Fraternal,
    "PiModel": PiModel,
    "ExpectationLinear": ExpectationLinear,
    "RDrop": RDrop,
    "LRDrop": LRDrop,
    "UDA": UDA,
    "FixMatch": FixMatch,
    "ActivationNorm": ActivationNorm,
}


_LINES = {
    "RDrop": "RDrop(alpha=1.0)",
    "TaskLoss": "TaskLoss()",
    "TwoSample": "TwoSample()",
    "SquaredDistance": "SquaredDistance(kappa=0.1)",
    "Fraternal": "Fraternal(kappa=0.1)",
    "PiModel": "PiModel(kappa=0.1)",
    "ExpectationLinear": "ExpectationLinear(kappa=0.25)",
    "LRDrop": "LRDrop()",
    "UDA": "UDA(confidence=0.8)",
    "FixMatch": "FixMatch(confidence=0.95)",
    "ActivationNorm": "ActivationNorm(of=TaskLoss())",
}
"""A line to type for each objective, for errors."""


def check_objective(objective: object, sentence: str) -> None:
    """Raise `ObjectiveError` unless a value is an objective.

    >>> check_objective("r-drop", "this takes an objective")
    Traceback (most recent call last):
    dropsmith.errors.ObjectiveError: this takes an objective, but the string 'r-drop' was given
      did you mean RDrop(alpha=1.0)?

    Args:
        objective: the value.
        sentence: what takes an objective, as the error says it.
    """
    if isinstance(objective, Objective):
        return
    advice = None
    if isinstance(objective, type) and objective.__name__ not in _LINES:
        advice = _line_of(objective) if issubclass(objective, Objective) else None
    elif isinstance(objective, Mapping):
        advice = "dropsmith.objectives.from_json(values)"
    raise wrong_instance(ObjectiveError, sentence, objective, _LINES, advice)


def _line_of(kind: type[Objective]) -> str | None:
    """The line that makes an objective of a class of somebody else's; None where none can be."""
    if isabstract(kind):
        return None
    required = (field.name for field in fields(kind) if field.default is MISSING)
    return f"{kind.__name__}({', '.join(f'{name}=...' for name in required)})"


def from_json(values: dict[str, Any], extra: Iterable[type[Objective]] = ()) -> Objective:
    """The objective that `to_json` wrote; raise `ObjectiveError` for anything else.

    >>> from_json({"objective": "RDrop", "alpha": 5})
    RDrop(alpha=5)

    Nothing is imported: `myfile:Cosine` is the class of a module that has been imported.

    Args:
        values: `objective` names the class, the rest are its settings.
        extra: classes of your own to look names up in, beside ours.
    """
    if not isinstance(values, dict) or not isinstance(values.get("objective"), str):
        raise ObjectiveError(
            f"not an objective: {excerpt(values)}\n"
            '  it looks like {"objective": "RDrop", "alpha": 5}'
        )
    names = {json_name: name for name, json_name in NAMES_IN_JSON.items()}
    settings = {names.get(key, key): value for key, value in values.items()}
    name = settings.pop("objective")
    extra = list(extra)
    kind = OBJECTIVES.get(name) or imported_class(name, Objective, extra)
    if kind is None:
        classes = [*OBJECTIVES, *(cls.__name__ for cls in extra)]
        raise ObjectiveError(
            f"no objective is called {excerpt(name)}\n  there are: {', '.join(classes)}"
            + (import_advice(name) or did_you_mean(name, classes))
        )
    _check_settings(kind, settings)
    arguments = {key: _value(value, extra) for key, value in settings.items()}
    return kind(**arguments)


def _value(value: Any, extra: Iterable[type[Objective]]) -> Any:
    """A setting, which may be an objective itself."""
    return from_json(value, extra) if isinstance(value, dict) else value


def _check_settings(kind: type[Objective], settings: dict[str, Any]) -> None:
    options = {field.name: field for field in fields(kind)}
    for name in settings:
        if name not in options:
            raise ObjectiveError(
                f"{kind.__name__} has no setting {excerpt(name)}\n"
                f"  it has: {', '.join(options) or 'none'}" + did_you_mean(name, options)
            )
    for name, field in options.items():
        if field.default is MISSING and name not in settings:
            raise ObjectiveError(f"{kind.__name__} needs {name}, which is not given")
