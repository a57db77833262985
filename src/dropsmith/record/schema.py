"""A record in JSON: its fields, their types and ranges."""

from typing import Annotated, Any, NotRequired

from annotated_types import Ge, Predicate
from typing_extensions import TypedDict

from dropsmith.files import OTHER_FIELDS_ALLOWED, Count, FiniteNumber, Number, Seed


def a_record_id_of_12_hexadecimal_digits(text: str) -> bool:
    """Say whether a text has the form of a record's id, which names its file.

    >>> a_record_id_of_12_hexadecimal_digits("0123456789ab")
    True
    >>> a_record_id_of_12_hexadecimal_digits("../../etc/x")
    False
    """
    return len(text) == 12 and set(text) <= _HEXADECIMAL


_HEXADECIMAL = frozenset("0123456789abcdef")

RecordId = Annotated[str, Predicate(a_record_id_of_12_hexadecimal_digits)]


class _StoredStart(TypedDict):
    """The initial weights of a run: those of a file, or of another run."""

    file: NotRequired[str]
    record: NotRequired[RecordId]
    task: NotRequired[str | None]
    method: NotRequired[str | None]
    seed: NotRequired[Seed | None]


class StoredEnvironment(TypedDict, total=False):
    """The fields of a run's environment that are used; any others are only shown."""

    __pydantic_config__ = OTHER_FIELDS_ALLOWED  # pyright: ignore[reportGeneralTypeIssues]

    data_given: bool
    data_sha256: str
    data_source: str
    model_sha256: str
    code_sha256: str
    signatures: dict[str, str]
    start: _StoredStart
    vocabulary_sha256: str | None


_Numbers = dict[str, Number | None]


class StoredRecord(TypedDict):
    """A record in JSON, with null for NaN."""

    format: str
    version: Count
    id: RecordId
    config: dict[str, Any]
    environment: NotRequired[StoredEnvironment]
    curve: NotRequired[list[_Numbers]]
    scores: NotRequired[_Numbers]
    cost: NotRequired[dict[str, Annotated[FiniteNumber, Ge(0)] | None]]
    status: NotRequired[str]
