"""Problems and searches in JSON: their fields, their types and ranges."""

import re
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Ge, Len, Lt, MinLen, Predicate
from typing_extensions import TypedDict

from dropsmith.files import Count, FiniteNumber, Number, Seed
from dropsmith.pattern_search import Status
from dropsmith.record import RecordId, StoredEnvironment
from dropsmith.train import RunConfig

_WORD = re.compile(r"[A-Za-z][\w.-]*(:[A-Za-z]\w*)?")
"""The name of a sampler, which is `module:name` for the user's own; file names have no colon."""


class StoredProblem(TypedDict):
    """A problem in JSON."""

    format: str
    version: int
    id: RecordId
    config: RunConfig
    seeds: Annotated[Count, Ge(1)]
    loss: Literal["nll", "mse"]
    space: dict[str, Any]
    environment: NotRequired[StoredEnvironment]


class StoredTrial(TypedDict):
    """A trial in JSON, without fields that have their default values."""

    number: Count
    asked: Count
    tokens: list[Annotated[Count, Lt(2**31)]]
    version: NotRequired[Count]
    log_probability: NotRequired[Number]
    seed: NotRequired[Seed]
    retry: NotRequired[Count]
    retry_of: NotRequired[Count | None]
    status: NotRequired[Status]
    score: NotRequired[FiniteNumber | None]
    why: NotRequired[str]
    reports: NotRequired[list[Annotated[list[Number], Len(2, 2)]]]
    seconds: NotRequired[Annotated[FiniteNumber, Ge(0)] | None]
    told: NotRequired[Count | None]


def a_word_that_a_file_can_have_in_its_name(text: str) -> bool:
    """Say whether a text has only letters, digits and signs without a meaning to any system."""
    return len(text) <= 64 and text.isascii() and _WORD.fullmatch(text) is not None


FileWord = Annotated[str, Predicate(a_word_that_a_file_can_have_in_its_name)]


class StoredSearch(TypedDict):
    """A search in JSON."""

    format: str
    version: int
    problem: RecordId
    sampler: FileWord
    seed: Seed
    pruner: str | None
    typed: NotRequired[list[str]]
    trials: Annotated[list[StoredTrial], MinLen(1)]
