"""Settings are looked at once, when an objective is made."""

import math
from typing import Any

from dropsmith.errors import ObjectiveError


def check_number(value: Any, name: str) -> None:
    """Raise `ObjectiveError` unless field `name` is a finite number that is not negative."""
    number = getattr(value, name)
    if (
        isinstance(number, bool)
        or not isinstance(number, int | float)
        or not 0 <= number < math.inf
    ):
        raise ObjectiveError(
            f"{type(value).__name__}: {name} must be a finite number ≥ 0, got {number!r}"
        )


def check_integer(value: Any, name: str, *, at_least: int) -> None:
    """Raise `ObjectiveError` unless field `name` is an integer of `at_least` or more."""
    number = getattr(value, name)
    if isinstance(number, bool) or not isinstance(number, int) or number < at_least:
        raise ObjectiveError(
            f"{type(value).__name__}: {name} must be an integer ≥ {at_least}, got {number!r}"
        )


def check_view(value: Any, view: Any) -> None:
    """Raise `ObjectiveError` unless `view` is None or one of the views that `value` makes."""
    if view is None:
        return
    if isinstance(view, bool) or not isinstance(view, int) or not 0 <= view < value.views:
        raise ObjectiveError(
            f"{value}: no view {view!r}, views are numbered from 0 to {value.views - 1}"
        )
