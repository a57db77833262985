"""The leading tensor of what a module returns, which may be a tuple, a mapping or a dataclass."""

from collections.abc import Mapping
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from dropsmith.errors import SiteError


def leading_tensor(output: Any, site: str) -> Tensor:
    """The tensor that noise at a site goes on; `SiteError` where there is none."""
    first = output
    if isinstance(output, Mapping) and output:
        first = next(iter(output.values()))
    elif isinstance(output, tuple | list) and output:
        first = output[0]
    elif is_dataclass(output) and fields(output):
        first = getattr(output, fields(output)[0].name)
    if isinstance(first, Tensor):
        return first
    raise SiteError(
        f"site {site!r} returned a {type(output).__name__} without a leading tensor to drop\n"
        "  choose the module inside it whose output is the tensor"
    )


def with_leading_tensor(output: Any, first: Tensor) -> Any:
    """What a module returned, with another leading tensor."""
    if isinstance(output, Tensor):
        return first
    if isinstance(output, Mapping):
        changed = output.copy()  # pyright: ignore[reportAttributeAccessIssue]
        changed[next(iter(output))] = first
        return changed
    if hasattr(output, "_fields"):
        return output._replace(**{output._fields[0]: first})
    if is_dataclass(output):
        changed = copy(output)
        object.__setattr__(changed, fields(output)[0].name, first)  # frozen ones, too
        return changed
    return type(output)((first, *output[1:]))
