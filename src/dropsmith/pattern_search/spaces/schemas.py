"""Spaces in JSON: their fields, their types and ranges."""

from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Ge, Le, Len, Lt, MinLen
from typing_extensions import TypedDict

from dropsmith.files import Count, FiniteNumber

_Value = FiniteNumber | Annotated[int, Ge(-(2**53)), Le(2**53)] | str | bool
_Pixels = Annotated[int, Ge(0), Lt(2**31)]
_Steepness = Annotated[float, Ge(-1000), Le(1000)]


class StoredChoice(TypedDict):
    """A choice in JSON."""

    name: Annotated[str, MinLen(1)]
    values: Annotated[list[_Value], MinLen(1)]


class StoredGroup(TypedDict):
    """A group of sites in JSON."""

    name: str
    sites: Annotated[str, MinLen(1)]
    alone: NotRequired[str]
    pairs: list[str]
    side: NotRequired[Annotated[Count, Ge(1), Lt(2**31)] | None]


class StoredPart(TypedDict):
    """A part of a plan in JSON."""

    rule: dict[str, Any]
    sets: NotRequired[list[Annotated[list[str], Len(2, 2)]]]
    when: NotRequired[list[Annotated[list[_Value], Len(2, 2)]]]


class StoredSpace(TypedDict):
    """A space in JSON: of its groups or of its parts, whichever its kind has."""

    format: str
    version: int
    space: str
    choices: Annotated[list[StoredChoice], MinLen(1)]
    groups: NotRequired[list[StoredGroup]]
    parts: NotRequired[list[StoredPart]]


class ConvValues(TypedDict):
    """The values of the choices about a group of maps."""

    size: list[_Pixels]
    stride: list[_Pixels]
    repeat: list[Annotated[int, Ge(1), Lt(2**31)] | Literal["all"]]
    rotate: list[Annotated[float, Ge(-360), Le(360)]]
    shear_x: list[_Steepness]
    shear_y: list[_Steepness]
    share_c: list[bool]
    residual: NotRequired[list[bool]]
    draw: list[Literal["tiles", "blocks", "channels", "pixels"]]


class SequenceValues(TypedDict):
    """The values of the choices about a sub-layer."""

    size: list[_Pixels]
    stride: list[Annotated[int, Ge(1), Lt(2**31)]]
    share_t: list[Literal["none", "span", "all"]]
    share_c: list[bool]
