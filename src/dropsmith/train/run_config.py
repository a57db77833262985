"""The configuration of a run in JSON, from `Setup.to_json`: its fields and their ranges."""

from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Ge, Gt
from typing_extensions import TypedDict

from dropsmith.errors import DataError, DropsmithError
from dropsmith.files import OTHER_FIELDS_ALLOWED, Chance, Count, FiniteNumber, Seed, check
from dropsmith.plans import Plan
from dropsmith.record import Record

_Positive = Annotated[Count, Ge(1)]


class _Rules(TypedDict):
    format: str
    version: int
    rules: list[dict[str, Any]]


class _Budget(TypedDict):
    __pydantic_config__ = OTHER_FIELDS_ALLOWED  # pyright: ignore[reportGeneralTypeIssues]

    epochs: _Positive
    batch_size: _Positive
    learning_rate: Annotated[FiniteNumber, Gt(0)]
    weight_decay: Annotated[FiniteNumber, Ge(0)]
    warmup: NotRequired[Chance]
    clip: NotRequired[Annotated[FiniteNumber, Gt(0)] | None]
    patience: NotRequired[_Positive | None]


class RunConfig(TypedDict):
    """The fields of a configuration that are used; any others are only part of its id."""

    __pydantic_config__ = OTHER_FIELDS_ALLOWED  # pyright: ignore[reportGeneralTypeIssues]

    task: str
    method: str
    plan: _Rules
    objective: dict[str, Any]
    budget: _Budget
    seed: Seed
    model: str | None
    limit: Count | None
    precision: str
    samples: NotRequired[Count]
    samples_without: NotRequired[list[str]]
    tested: NotRequired[bool]
    whole: NotRequired[bool]
    trunk: NotRequired[str]
    start: NotRequired[str]
    labels: NotRequired[_Positive]
    unlabelled: NotRequired[bool]
    unlabelled_ratio: NotRequired[_Positive]
    drop_repeats: NotRequired[Literal["train", "test"]]


def check_run(record: Record) -> Record:
    """The record, if its configuration is that of a run; else `DataError` with the field."""
    try:
        check(record.config, RunConfig)
    except DataError as error:
        raise DataError(f"record {record.id} is of no run: its configuration's {error}") from None
    return record


def plan_of(record: Record) -> Plan:
    """The plan of a run; `DataError` with the record's id if it has none."""
    try:
        return Plan.from_json(record.config["plan"])
    except DropsmithError as error:
        raise DataError(f"the plan of record {record.id} cannot be read\n  {error}") from None
