"""A comparison in JSON: the settings of its methods, and the ids of their records."""

from typing import Annotated, Any, Literal, NotRequired

from annotated_types import MinLen
from typing_extensions import TypedDict

from dropsmith.compare.budget_rule import Rule
from dropsmith.errors import DataError, excerpt, first_repeated
from dropsmith.files import Count, FiniteNumber, check
from dropsmith.record import RecordId

FORMAT = "dropsmith.comparison"
VERSION = 2

_Ids = Annotated[list[RecordId], MinLen(1)]


class StoredTrial(TypedDict):
    """A trial in JSON."""

    setting: Annotated[dict[str, FiniteNumber], MinLen(1)]
    records: NotRequired[_Ids]
    record: NotRequired[RecordId]  # version 1 had one tuning seed and so one record


class StoredRow(TypedDict):
    """A method's row in JSON."""

    method: str
    trials: list[StoredTrial]
    setting: Annotated[dict[str, FiniteNumber], MinLen(1)]
    records: _Ids


class StoredComparison(TypedDict):
    """A comparison in JSON."""

    format: str
    version: Count
    task: str
    equal: NotRequired[Rule | Literal["recipes"]]
    rows: Annotated[list[StoredRow], MinLen(1)]


def check_comparison(values: Any) -> StoredComparison:
    """The values, if they are a comparison; `DataError` for anything else."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"it is not a comparison: its format is not {FORMAT!r}")
    if values.get("version") not in (1, VERSION):
        raise DataError(
            f"its version is {excerpt(values.get('version'))}, and this dropsmith reads {VERSION}"
        )
    checked = check(values, StoredComparison)
    if (twice := first_repeated(row["method"] for row in checked["rows"])) is not None:
        raise DataError(f"it has two rows of the method {excerpt(twice)}")
    for row in checked["rows"]:
        lists = [row["records"], *map(record_ids, row["trials"])]
        if any(len(set(ids)) < len(ids) for ids in lists):
            raise DataError(f"the method {excerpt(row['method'])} has one record twice")
        if not all(lists):
            raise DataError(f"a trial of the method {excerpt(row['method'])} has no record")
    return checked


def record_ids(trial: StoredTrial) -> list[str]:
    """The records of a trial, of either version."""
    return trial.get("records", []) + [trial[name] for name in ("record",) if name in trial]
