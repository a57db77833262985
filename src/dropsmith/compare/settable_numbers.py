"""The numbers of a method for `--set`: meaning, default, and values that tuning tries."""

import inspect
import re
from dataclasses import dataclass

from dropsmith.compare.method import Method

_MEANINGS = {
    "rate": "the chance that a unit is dropped, from 0 up to 1; of Gaussian noise, the rate of "
    "dropout with the same variance",
    "share": "the share of a run's steps after which the rate has changed",
    "weight_decay": "the weight decay of the optimiser",
}


@dataclass(frozen=True, kw_only=True)
class MethodNumber:
    """One number of a method.

    Args:
        name: as `--set` takes it.
        about: its meaning, from the objective's docstring where it is one of an objective's.
        usual: its value where it is not set.
        tried: the different values among those that tuning may try, the usual one first.
    """

    name: str
    about: str
    usual: float
    tried: tuple[float, ...]


def method_numbers(method: Method) -> tuple[MethodNumber, ...]:
    """The numbers of a method, in the order of its settings.

    >>> from dropsmith.compare import find_method
    >>> [(number.name, number.usual) for number in method_numbers(find_method("r-drop"))]
    [('rate', 0.3), ('alpha', 1.0)]
    """
    usual = method.settings[0]
    objective = type(method.goal(usual))
    return tuple(
        MethodNumber(
            name=name,
            about=_MEANINGS.get(name) or _argument(objective, name),
            usual=value,
            tried=tuple(dict.fromkeys(setting[name] for setting in method.settings)),
        )
        for name, value in usual.items()
    )


def _argument(cls: type, name: str) -> str:
    """The description of an argument in the docstring of a class; empty without one."""
    text = inspect.getdoc(cls) or ""
    _, found, arguments = text.partition("Args:\n")
    match = re.search(rf"^    {re.escape(name)}: (.*(?:\n {{8,}}.*)*)", arguments, re.M)
    return " ".join(match[1].split()).rstrip(".") if found and match else ""
