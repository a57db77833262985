"""Models that know the arguments they were made with, so that a file can say how to make them."""

from collections.abc import Mapping
from inspect import signature
from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from torch import nn
from typing_extensions import TypedDict

_Whole = Annotated[int, Ge(0), Le(2**31)]
_Argument = bool | _Whole | float | Annotated[str, Len(0, 200)] | None


class StoredModel(TypedDict):
    """A model of this library in JSON: the name of its class, and the arguments that make it."""

    name: str
    arguments: dict[str, _Argument | Annotated[list[_Whole], Len(0, 1000)]]


class DescribedModel(nn.Module):
    """A module that keeps the arguments it was made with.

    >>> class Net(DescribedModel):
    ...     def __init__(self, *, width: int, layers: int = 2) -> None:
    ...         super().__init__()
    >>> Net(width=8).arguments
    {'width': 8, 'layers': 2}
    """

    _settings: Mapping[str, Any]

    def __new__(cls, **settings: Any) -> "DescribedModel":
        model = super().__new__(cls)
        # Not as an attribute of a module, which has to be initialised first.
        object.__setattr__(model, "_settings", settings)
        return model

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments by name, also those that were left at their defaults; as JSON values."""
        bound = signature(type(self).__init__).bind(self, **self._settings)
        bound.apply_defaults()
        values = bound.arguments.items()
        return {name: _as_json(value) for name, value in values if value is not self}


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value
