"""The description of a trained model: what makes it again without the data that it was trained on.

It lies in a run's folder as `config.json`, or as `dropsmith.json` where `config.json` is that of
transformers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import DataError, excerpt
from dropsmith.files import check, json_text, read_json, write_text
from dropsmith.run_folder.schema import FORMAT, VERSION, StoredRun
from dropsmith.tasks import Kind

CONFIG, CONFIG_BESIDE = "config.json", "dropsmith.json"
"""The name of the description's file, and its name beside the `config.json` of transformers."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One input of a model's forward.

    Args:
        dtype: such as `int64`.
        shape: of one example.
    """

    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, batch: Tensor) -> "Column":
        """The column that a batch of it has."""
        dtype = str(batch.dtype).removeprefix("torch.")
        return cls(dtype=dtype, shape=tuple(batch.shape[1:]))

    def zeros(self, rows: int) -> Tensor:
        """Examples that hold nothing; `DataError` where torch has no such dtype."""
        dtype = getattr(torch, self.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise DataError(f"torch has no dtype {excerpt(self.dtype)}")
        return torch.zeros(rows, *self.shape, dtype=dtype)


@dataclass(frozen=True, kw_only=True)
class RunDescription:
    """A trained model as values.

    Args:
        dropsmith: the version that wrote it.
        record: the id of its run.
        task, method: as its record has them.
        kind: `classification` or `regression`.
        names: what the classes are called, in the order of the scores; empty for values.
        mean, unit: what the model returns for a value is the value less the mean, divided by the
            unit.
        inputs: the columns that the model's forward takes.
        noise_step: the training step that rates on a schedule are those of.
        model: how it is made; see `StoredRun`.
    """

    dropsmith: str
    record: str
    task: str
    method: str
    kind: Kind
    names: tuple[str, ...]
    mean: float
    unit: float
    inputs: Mapping[str, Column]
    noise_step: int
    model: Mapping[str, Any]

    @property
    def file(self) -> str:
        """The name of its file in the folder."""
        return CONFIG_BESIDE if self.model["source"] == "transformers" else CONFIG

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back as an equal description."""
        values = {"format": FORMAT, "version": VERSION} | asdict(self)
        inputs = {
            name: {"dtype": c.dtype, "shape": list(c.shape)} for name, c in self.inputs.items()
        }
        return values | {"names": list(self.names), "inputs": inputs, "model": dict(self.model)}

    @classmethod
    def from_json(cls, values: Any) -> "RunDescription":
        """The description in a JSON object.

        Raises:
            DataError: it is none, or of a later version.
        """
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"it describes no run of dropsmith: its format is not {FORMAT!r}")
        version = values.get("version")
        if isinstance(version, int) and version > VERSION:
            raise DataError(
                f"it is of version {version}, read here is {VERSION}\n"
                "  a later dropsmith wrote it: pip install --upgrade dropsmith"
            )
        stored = check(values, StoredRun)
        fields: dict[str, Any] = {k: v for k, v in stored.items() if k not in ("format", "version")}
        columns = {
            name: Column(dtype=column["dtype"], shape=tuple(column["shape"]))
            for name, column in stored["inputs"].items()
        }
        return cls(**fields | {"names": tuple(stored["names"]), "inputs": columns})

    def save(self, folder: Path) -> None:
        """Write its file into a folder, whole or not at all."""
        write_text(folder / self.file, json_text(self.to_json()))

    @classmethod
    def load(cls, folder: Path) -> "RunDescription":
        """The description in a folder.

        Raises:
            DataError: there is none, or it is not what it should be.
        """
        path = folder / CONFIG_BESIDE
        path = path if path.exists() else folder / CONFIG
        try:
            return cls.from_json(read_json(path))
        except (OSError, DataError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise DataError(f"cannot read {path}\n  {reason}") from None


def describes_run(folder: Path) -> bool:
    """True if a folder has the description of a run, be it a good one or not."""
    if (folder / CONFIG_BESIDE).exists():
        return True
    try:
        values = read_json(folder / CONFIG)
    except (OSError, DataError):
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT
