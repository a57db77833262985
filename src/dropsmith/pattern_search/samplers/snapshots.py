"""The fields of samplers' snapshots, checked before a sampler goes on from them."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.errors import SearchError, excerpt
from dropsmith.files import Count, check, count_mismatch, tensor_mismatch
from dropsmith.pattern_search.spaces.space import Space, Tokens


class _Header(TypedDict):
    sampler: str
    space: str
    seed: int
    settings: dict[str, Any]


class TrialsSnapshot(_Header):
    """The snapshot of a sampler that is nothing but its results: tokens and score of each."""

    trials: list[list[Any]]


class ControllerSnapshot(_Header):
    """The snapshot of a controller, without its tensors."""

    version: Count
    scored: Count
    average: float
    memory: list[list[Any]]
    tried: list[Any]


def check_values(state: Mapping[str, Any], schema: type) -> None:
    """Raise `SearchError` unless the values of a snapshot that are no tensors fit a schema."""
    values = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    check(values, schema, SearchError)


def tokens_and_numbers(
    name: str, rows: Sequence[Sequence[Any]], space: Space, count: int
) -> list[tuple[Tokens, *tuple[float, ...]]]:
    """Rows of tokens and so many numbers after them; `SearchError` unless they are."""
    pairs: list[Any] = []
    for index, row in enumerate(rows):
        place = f"field {name}.{index}"
        if len(row) != 1 + count:
            raise SearchError(f"{place} should have {1 + count} items, but has {len(row)}")
        numbers = check(list(row[1:]), list[float], SearchError)
        if not all(map(isfinite, numbers)):
            raise SearchError(f"{place} holds a number that is not finite: {numbers}")
        pairs.append((check_tokens(place, row[0], space), *numbers))
    return pairs


def check_tokens(place: str, tokens: Any, space: Space) -> Tokens:
    """Tokens in a list as those of a space; `SearchError` unless they are."""
    if not isinstance(tokens, list | tuple):
        raise SearchError(f"{place} should be tokens, but is {excerpt(tokens)}")
    try:
        space.check(tuple(tokens))
    except SearchError as error:
        raise SearchError(f"{place}: {error}") from None
    return tuple(tokens)


def check_tensors(room: str, stored: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise `SearchError` unless tensors have the names, shapes and dtypes of others."""
    for name in (*expected, *stored):
        if name not in stored:
            raise SearchError(f"tensor {room}.{name} is missing")
        if name not in expected:
            raise SearchError(f"tensor {room}.{name} is unknown")
        fault = tensor_mismatch(stored[name], expected[name]) or count_mismatch(stored[name])
        if fault:
            raise SearchError(f"tensor {room}.{name} {fault}")
