"""A model that the user names on the command line as `package.module:function`."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from dropsmith.errors import TaskError, excerpt
from dropsmith.user_code import fault_line, import_object


def build_model(spec: str, data: Any) -> nn.Module:
    """The model that the named function returns: see `with_model`."""
    return call_model_function(import_function(spec), spec, data)


def call_model_function(function: Callable[..., Any], name: str, data: Any) -> nn.Module:
    """The model that a function returns.

    Args:
        function: takes the data, or nothing.
        name: of the function in messages.
        data: that it may take.

    Raises:
        TaskError: it needs more, fails, or returns no module.
    """
    parameters = required_parameters(function)
    if len(parameters) > 1:
        raise TaskError(
            f"{name} needs {', '.join(parameters)}: it may take the data and nothing else"
        )
    try:
        model = function(data) if parameters else function()
    except Exception as error:  # the user's own code, whatever it does
        raise TaskError(
            f"{name} failed: {type(error).__name__}: {error}{fault_line(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise TaskError(f"{name} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def import_function(spec: str) -> Callable[..., Any]:
    """The function of a name as `package.module:function`.

    Raises:
        TaskError: there is none.
    """
    function = import_object(spec, "model", names="function")
    if not callable(function):
        module, _, name = spec.partition(":")
        raise TaskError(f"module {module!r} has no function {name!r}: it is {excerpt(function)}")
    return function


def required_parameters(function: Callable[..., Any]) -> list[str]:
    """The positional arguments without a default."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in positional and p.default is p.empty]
