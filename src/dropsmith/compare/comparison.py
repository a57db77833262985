"""A comparison as a value: for each method the trials, the chosen setting, and its runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isnan
from pathlib import Path
from typing import Any

from dropsmith.compare.comparison_schema import (
    FORMAT,
    VERSION,
    StoredRow,
    check_comparison,
    record_ids,
)
from dropsmith.compare.method import Setting
from dropsmith.compare.statistics import mean
from dropsmith.errors import DataError, excerpt
from dropsmith.files import json_text, read_json, write_text
from dropsmith.record import Record, validation_loss
from dropsmith.train import check_run

FILE = "comparison.json"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A setting that was tried on the tuning seeds: a record for each seed."""

    setting: Setting
    records: tuple[Record, ...]

    @property
    def is_finished(self) -> bool:
        """True if it reached its end on every seed."""
        return all(record.status == "finished" for record in self.records)

    @property
    def loss(self) -> float:
        """The mean validation loss over the seeds; infinite if a run has none."""
        if not self.is_finished:
            return inf
        average = mean(validation_loss(record.scores) for record in self.records)
        return inf if isnan(average) else average


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method: its trials, the setting chosen on validation, and a run for each seed.

    Args:
        method: its name.
        trials: every setting tried, in order; none of their runs is reported.
        setting: the chosen one.
        records: one per reported seed, whether it finished or not.
    """

    method: str
    trials: tuple[Trial, ...]
    setting: Setting
    records: tuple[Record, ...]

    @property
    def finished_records(self) -> tuple[Record, ...]:
        """The reported runs that reached their end."""
        return tuple(record for record in self.records if record.status == "finished")

    @property
    def failed_records(self) -> tuple[Record, ...]:
        """The runs, trials included, that did not reach their end."""
        runs = (*(record for trial in self.trials for record in trial.records), *self.records)
        return tuple(record for record in runs if record.status != "finished")

    def scores(self, name: str) -> dict[int, float]:
        """A final number of the finished runs, by seed."""
        if lacking := [run for run in self.finished_records if name not in run.scores]:
            raise DataError(
                f"the run of record {lacking[0].id} has finished, and has no score {excerpt(name)}"
            )
        return {record.config["seed"]: record.scores[name] for record in self.finished_records}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Methods against each other on one task, in the order they are shown.

    It is stored as a small file of settings and record ids beside the records themselves.

    Args:
        task: the name of the task.
        rows: the methods.
        equal: the budget rule, one of `RULES`, or `recipes` where each row has a recipe's budget.
    """

    task: str
    rows: tuple[Row, ...]
    equal: str = "views"

    @property
    def baseline(self) -> str:
        """The method that others are compared with: dropout, else none, else the first."""
        names = [row.method for row in self.rows]
        return next((name for name in ("dropout", "none") if name in names), names[0])

    def row(self, method: str) -> Row | None:
        """The row of a method, where there is one."""
        return next((row for row in self.rows if row.method == method), None)

    @property
    def records(self) -> tuple[Record, ...]:
        """Every run of the comparison, trials first."""
        trials = [r for row in self.rows for trial in row.trials for r in trial.records]
        return (*trials, *(record for row in self.rows for record in row.records))

    def to_json(self) -> dict[str, Any]:
        """Settings and ids; `load` finds the records by them."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "task": self.task,
            # Comparisons that were made before there was a choice keep their files.
            **({"equal": self.equal} if self.equal != "views" else {}),
            "rows": [_row_to_json(row) for row in self.rows],
        }

    def save(self, folder: Path) -> Path:
        """Write `comparison.json` into `folder`, whole or not at all, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / FILE, json_text(self.to_json()))
        return folder / FILE

    @classmethod
    def load(cls, folder: Path) -> "Comparison":
        """The comparison whose file and records are in `folder`.

        Raises:
            DataError: there is none, or a record it names is missing, or of another method.
        """
        path = folder / FILE
        if not path.exists():
            raise DataError(
                f"no comparison in {folder}: it holds no {FILE}\n"
                f"  to make one: dropsmith compare digits --out {folder}"
            )
        try:
            values = check_comparison(read_json(path))
        except (OSError, DataError) as error:
            raise DataError(f"cannot read a comparison from {path}\n  {error}") from None
        return cls(
            task=values["task"],
            rows=tuple(_row(row, folder) for row in values["rows"]),
            equal=values.get("equal", "views"),
        )


def _row_to_json(row: Row) -> dict[str, Any]:
    return {
        "method": row.method,
        "trials": [
            {"setting": trial.setting, "records": [record.id for record in trial.records]}
            for trial in row.trials
        ],
        "setting": row.setting,
        "records": [record.id for record in row.records],
    }


def _row(values: StoredRow, folder: Path) -> Row:
    method = values["method"]
    return Row(
        method=method,
        trials=tuple(
            Trial(setting=trial["setting"], records=_records(record_ids(trial), method, folder))
            for trial in values["trials"]
        ),
        setting=values["setting"],
        records=_records(values["records"], method, folder),
    )


def _records(ids: Iterable[str], method: str, folder: Path) -> tuple[Record, ...]:
    records = tuple(check_run(Record.load(folder / f"{name}.json")) for name in ids)
    for record in records:
        if record.config["method"] != method:
            raise DataError(
                f"{folder / FILE} has record {record.id} in the row of {excerpt(method)}, "
                f"and it is of {excerpt(record.config['method'])}"
            )
    return records
