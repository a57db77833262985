"""The record of one run, as a value: its configuration, its environment and its numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import nan
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, excerpt
from dropsmith.files import check, json_text, read_json, write_text
from dropsmith.record.schema import StoredRecord

FORMAT = "dropsmith.record"
VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run, whose id is a hash of its configuration, so that equal settings have one record.

    Args:
        config: all settings of the run: task, method, model, plan, objective, seed, optimiser and
            budget, as JSON values.
        environment: versions, device, commit, and the hash of the data; not part of the id.
        curve: one row per evaluation: step, epoch, train and validation numbers.
        scores: final numbers by name, such as `validation_accuracy` and `test_nll`.
        cost: seconds, peak memory in bytes, example-views forward and backward.
        status: `finished`, or why the run stopped.
    """

    config: dict[str, Any]
    environment: dict[str, Any] = field(default_factory=dict)
    curve: tuple[dict[str, float], ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    status: str = "finished"

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the hash of the configuration."""
        return config_id(self.config)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads as an equal record, with null for NaN."""
        values = {"format": FORMAT, "version": VERSION, "id": self.id} | asdict(self)
        numbers = {"scores": _spelled(self.scores), "cost": _spelled(self.cost)}
        return values | {"curve": [_spelled(row) for row in self.curve]} | numbers

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Record":
        """The record in a JSON object; raise `DataError` for anything else."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"it is not a record: its format is not {FORMAT!r}")
        if values.get("version") not in (1, VERSION):
            version = excerpt(values.get("version"))
            raise DataError(f"its version is {version}, and this dropsmith reads version {VERSION}")
        # The values of the file are kept: those of `check` have their fields in another order.
        check(values, StoredRecord)
        if values["id"] != (hash_id := config_id(values["config"])):
            raise DataError(
                f"its id is {excerpt(values['id'])}, but its configuration hashes to {hash_id!r}"
            )
        config, environment = values["config"], values.get("environment", {})
        if values["version"] == 1:
            config, environment = _without_path(config, environment)
        return cls(
            config=config,
            environment=environment,
            curve=tuple(map(_read, values.get("curve", ()))),
            scores=_read(values.get("scores", {})),
            cost=_read(values.get("cost", {})),
            status=values.get("status", "finished"),
        )

    def save(self, folder: Path) -> Path:
        """Write `<id>.json` into `folder`, whole or not at all, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.id}.json"
        write_text(path, json_text(self.to_json()))
        return path

    @classmethod
    def load(cls, path: Path) -> "Record":
        """The record in a file; `DataError` if the file is not the record of its name."""
        try:
            values = read_json(path)
            record = cls.from_json(values)
            if values["id"] != path.stem:
                raise DataError(
                    f"it is the record {values['id']} under another name\n"
                    f"  a record is in the file of its id: {values['id']}.json"
                )
        except (OSError, DataError) as error:
            raise DataError(f"cannot read a record from {path}\n  {error}") from None
        return record


def config_id(config: dict[str, Any]) -> str:
    """The id that a record of this configuration has.

    >>> config_id({"a": 1, "b": 2}) == config_id({"b": 2, "a": 1})
    True
    """
    try:
        text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"a configuration has JSON values only\n  {error}") from None
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_record(path: Path) -> bool:
    """Say whether a file has the format of a record, valid or not."""
    try:
        values = read_json(path)
    except (OSError, DataError):
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT


def _spelled(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in numbers.items()}


def _read(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: nan if value is None else value for name, value in numbers.items()}


def _without_path(
    config: dict[str, Any], environment: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of a record of version 1 without the path of the data."""
    config = dict(config)
    data_path = config.pop("data", None)
    if "task" in config:
        task = str(config["task"])
        data_path, config["task"] = data_path or task != Path(task).name, Path(task).name or task
    if "data_sha256" in environment:
        environment = {**environment, "data_given": bool(data_path)}
    return config, environment


LOSSES = ("nll", "mse")
"""The validation losses by which weights and settings are chosen: the negative log-likelihood for
classes, the mean squared error for values."""


def validation_loss_name(numbers: Mapping[str, float]) -> str | None:
    """The name in `LOSSES` of the validation loss among a run's numbers; None without one.

    >>> validation_loss_name({"validation_mse": 0.1, "validation_rmse": 0.3})
    'mse'
    """
    return next((name for name in LOSSES if f"validation_{name}" in numbers), None)


def validation_loss(numbers: Mapping[str, float]) -> float:
    """The validation loss among the numbers of a run; `DataError` without one.

    >>> validation_loss({"validation_nll": 0.25, "validation_accuracy": 0.9})
    0.25
    """
    name = validation_loss_name(numbers)
    if name is None:
        raise DataError(
            f"no validation loss among: {', '.join(numbers) or 'no numbers'}\n"
            f"  known losses: {', '.join(f'validation_{name}' for name in LOSSES)}"
        )
    return numbers[f"validation_{name}"]
