"""The record of one run, as a value: settings in, numbers out, and enough to run it again."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError

FORMAT = "dropsmith.record"
VERSION = 2

LOSSES = ("nll", "mse")
"""The losses by which weights and settings are chosen on validation: the negative log-likelihood of
classes, the mean squared error of values."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run. Its id is a hash of the resolved configuration, so equal settings find each other.

    Args:
        config: everything that decides the run but the data: task, method, model, plan,
            objective, seed, optimiser, budget, as JSON values.
        environment: versions, device, commit, and the hash of the data, wherever it was read
            from; these do not enter the id.
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
        """Twelve hexadecimal digits that name the configuration."""
        return config_id(self.config)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back as an equal record."""
        values = {"format": FORMAT, "version": VERSION, "id": self.id} | asdict(self)
        return values | {"curve": list(self.curve)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Record":
        """The record in a JSON object; raise `DataError` for anything else."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"not a record: its format is not {FORMAT!r}")
        if values.get("version") not in (1, VERSION):
            raise DataError(
                f"this record is of version {values.get('version')!r}, read here is {VERSION}"
            )
        if not isinstance(values.get("config"), dict):
            raise DataError("this record holds no configuration")
        if values.get("id") != (hash_id := config_id(values["config"])):
            raise DataError(f"record {values.get('id')!r} does not hash to its own id {hash_id!r}")
        if values["version"] == 1:
            values = _without_path(values)
        arguments: dict[str, Any] = {
            f.name: values[f.name] for f in fields(cls) if f.name in values
        }
        arguments["curve"] = tuple(arguments.get("curve", ()))
        return cls(**arguments)

    def save(self, folder: Path) -> Path:
        """Write `<id>.json` into `folder`, whole or not at all, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.id}.json"
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(self.to_json(), indent=1) + "\n")
        partial.replace(path)
        return path

    @classmethod
    def load(cls, path: Path) -> "Record":
        """The record in a file; raise `DataError` naming the file where it holds none."""
        try:
            return cls.from_json(json.loads(path.read_text()))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, DataError) as error:
            raise DataError(f"cannot read a record from {path}\n  {error}") from None


def _without_path(values: dict[str, Any]) -> dict[str, Any]:
    """A record of version 1, whose configuration held the path of the data as it was typed."""
    config = dict(values["config"])
    data_path = config.pop("data", None)
    if "task" in config:
        task = str(config["task"])
        data_path, config["task"] = data_path or task != Path(task).name, Path(task).name or task
    environment = values.get("environment", {})
    if "data_sha256" in environment:
        environment = {**environment, "data_given": bool(data_path)}
    return {**values, "config": config, "environment": environment}


def validation_loss_name(numbers: Mapping[str, float]) -> str | None:
    """The one of the `LOSSES` that a run's numbers hold for validation; None where there is none.

    >>> validation_loss_name({"validation_mse": 0.1, "validation_rmse": 0.3})
    'mse'
    """
    return next((name for name in LOSSES if f"validation_{name}" in numbers), None)


def validation_loss(numbers: Mapping[str, float]) -> float:
    """The validation loss among the numbers of a run; `DataError` where there is none.

    >>> validation_loss({"validation_nll": 0.25, "validation_accuracy": 0.9})
    0.25
    """
    name = validation_loss_name(numbers)
    if name is None:
        raise DataError(
            f"no validation loss among: {', '.join(numbers) or 'no numbers'}\n"
            f"  looked for: {', '.join(f'validation_{name}' for name in LOSSES)}"
        )
    return numbers[f"validation_{name}"]


def config_id(config: dict[str, Any]) -> str:
    """The id that a record of this configuration has.

    >>> config_id({"a": 1, "b": 2}) == config_id({"b": 2, "a": 1})
    True
    """
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
