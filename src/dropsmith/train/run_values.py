"""The fields of a checkpoint that are no tensors, with their types and ranges."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from typing_extensions import TypedDict

Count = Annotated[int, Ge(0), Le(2**53)]
"""Steps and the like; the bound is that of whole numbers in JSON."""

Pair = Annotated[list[float], Len(2, 2)]
"""A sum, and how many items it is of."""


class RunValues(TypedDict):
    """The numbers of an unfinished run; `State` says what they are."""

    step: Count
    loss: Pair
    beside: dict[str, Pair]
    curve: list[dict[str, float]]
    best_nll: float | None
    worse: Count
    seconds: Annotated[float, Ge(0)]
    processor_seconds: float
    peak_bytes: Annotated[float, Ge(0)]
    noise_step: Count
    groups: list[dict[str, Any]]
    carried: dict[str, Any]


class Header(TypedDict):
    """The header of a checkpoint."""

    format: Literal["dropsmith.checkpoint"]
    version: int
    identity: dict[str, Any]
    values: RunValues
