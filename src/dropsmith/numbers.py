"""Checks of the numbers that a person gives: of the right type, finite, and in their range."""

from math import inf
from sys import float_info

from dropsmith.errors import DropsmithError, excerpt

LARGEST_COUNT = 2**31 - 1
"""The most of anything that is counted by a setting: epochs, examples, steps, samples."""

LARGEST_SEED = 2**63 - 1
"""The largest seed that torch, NumPy and a database take."""

LARGEST_WEIGHT = 1e9
"""The largest weight of a term of a loss."""


def is_count(value: object, least: int, most: int = LARGEST_COUNT) -> bool:
    """Say whether a value is a whole number in a range whose ends belong to it.

    >>> is_count(3, 1), is_count(0, 1), is_count(True, 1), is_count(2**70, 1)
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_weight(value: object) -> bool:
    """Say whether a value is a number from 0 to `LARGEST_WEIGHT`.

    >>> is_weight(0), is_weight(2.5), is_weight(-1), is_weight(inf), is_weight(True)
    (True, True, False, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LARGEST_WEIGHT


def is_share(value: object) -> bool:
    """Say whether a value is a number from 0 to below 1.

    >>> is_share(0), is_share(0.5), is_share(1), is_share(float("nan")), is_share("0.1")
    (True, True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def check_whole(
    name: str,
    value: object,
    least: int,
    error: type[DropsmithError],
    most: int = LARGEST_COUNT,
) -> None:
    """Raise `error` unless a value is a whole number in a range.

    >>> from dropsmith.errors import TaskError
    >>> check_whole("epochs", 0, 1, TaskError)
    Traceback (most recent call last):
    dropsmith.errors.TaskError: epochs must be a whole number of at least 1, got 0
    """
    if not is_count(value, least, most):
        is_larger = isinstance(value, int) and value > most
        bound = f"at most {most}" if is_larger else f"at least {least}"
        raise error(f"{name} must be a whole number of {bound}, got {excerpt(value)}")


def check_seed(value: object, error: type[DropsmithError]) -> None:
    """Raise `error` unless a value is a seed that every generator takes."""
    check_whole("seed", value, 0, error, LARGEST_SEED)


def check_number(
    name: str,
    value: object,
    error: type[DropsmithError],
    *,
    least: float = 0.0,
    most: float = inf,
) -> None:
    """Raise `error` unless a value is a finite number in a range whose ends belong to it.

    >>> from dropsmith.errors import TaskError
    >>> check_number("warmup", 1.5, TaskError, most=1)
    Traceback (most recent call last):
    dropsmith.errors.TaskError: warmup must be a finite number from 0 to 1, got 1.5
    """
    bounds = f"of {least:g} or more" if most == inf else f"from {least:g} to {most:g}"
    wrong = error(f"{name} must be a finite number {bounds}, got {excerpt(value)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong
    # A whole number may be larger than any that is finite as a float.
    if not max(least, -float_info.max) <= value <= min(most, float_info.max):
        raise wrong
