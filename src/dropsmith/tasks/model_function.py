"""A model that the user names on the command line as `package.module:function`."""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from dropsmith.errors import TaskError, did_you_mean


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
        raise TaskError(f"{name} failed: {type(error).__name__}: {error}{_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise TaskError(f"{name} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _line(error: BaseException) -> str:
    """The line in which the error arose, for no traceback shows it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"\n  at {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def import_function(spec: str) -> Callable[..., Any]:
    module_name, colon, name = spec.partition(":")
    if not (module_name and colon and name):
        raise TaskError(f"not a model: {spec!r}\n  name it as package.module:function")
    try:
        with _working_directory():
            module = importlib.import_module(module_name)
    except ImportError as error:
        raise TaskError(
            f"cannot import {module_name!r} for the model {spec!r}\n  {error}"
        ) from error
    except Exception as error:  # the module's own code
        raise TaskError(
            f"cannot import {module_name!r} for the model {spec!r}\n"
            f"  {type(error).__name__}: {error}{_line(error)}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise TaskError(
            f"module {module_name!r} has no function {name!r}" + did_you_mean(name, dir(module))
        )
    return function


@contextmanager
def _working_directory() -> Iterator[None]:
    # A console script does not look there, and a user's model stands there more often than not.
    directory = os.getcwd()
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        sys.path.remove(directory)


def required_parameters(function: Callable[..., Any]) -> list[str]:
    """The positional arguments without a default."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in positional and p.default is p.empty]
