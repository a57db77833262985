"""Objectives from JSON, by name; reading one never runs code from the file."""

from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

from dropsmith.errors import ObjectiveError, did_you_mean, excerpt
from dropsmith.objectives._objective import NAMES_IN_JSON, Objective
from dropsmith.objectives.activation import ActivationNorm
from dropsmith.objectives.lr_drop import LRDrop
from dropsmith.objectives.r_drop import RDrop
from dropsmith.objectives.squared import ExpectationLinear, Fraternal, PiModel, SquaredDistance
from dropsmith.objectives.task_loss import TaskLoss, TwoSample

OBJECTIVES: dict[str, type[Objective]] = {
    "TaskLoss": TaskLoss,
    "TwoSample": TwoSample,
    "SquaredDistance": SquaredDistance,
    "Fraternal": Fraternal,
    "PiModel": PiModel,
    "ExpectationLinear": ExpectationLinear,
    "RDrop": RDrop,
    "LRDrop": LRDrop,
    "ActivationNorm": ActivationNorm,
}


def from_json(values: dict[str, Any], extra: Iterable[type[Objective]] = ()) -> Objective:
    """The objective that `to_json` wrote; raise `ObjectiveError` for anything else.

    >>> from_json({"objective": "RDrop", "alpha": 5})
    RDrop(alpha=5)

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
    classes = OBJECTIVES | {kind.__name__: kind for kind in extra}
    if name not in classes:
        raise ObjectiveError(
            f"no objective is called {excerpt(name)}\n  there are: {', '.join(classes)}"
            + did_you_mean(name, classes)
        )
    _check_settings(classes[name], settings)
    arguments = {key: _value(value, extra) for key, value in settings.items()}
    return classes[name](**arguments)


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
