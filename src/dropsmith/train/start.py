"""The start weights of a run: those of another run, or of a file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.errors import DataError, TaskError
from dropsmith.record import Record, is_record
from dropsmith.run_folder import (
    WEIGHTS,
    describes_run,
    first_names,
    read_record,
    read_weights,
    weight_differences,
)
from dropsmith.tasks import Data
from dropsmith.train.checkpoint import FILE
from dropsmith.train.environment import words_hash


@dataclass(frozen=True, kw_only=True)
class Start:
    """The start weights of a run, in place of random ones from its seed; see `Start.of`.

    The hash of the weights, as `sha256sum model.safetensors` prints it, is part of the run's
    configuration; their path is not.

    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> path = Path(tempfile.mkdtemp()) / "mine.safetensors"
    >>> save_file(nn.Linear(2, 1).state_dict(), path)
    >>> Start.of(path).description
    {'file': 'mine.safetensors'}

    Args:
        weights: the path of the safetensors file.
        sha256: the hash of that file.
    """

    weights: Path
    sha256: str

    @classmethod
    def of(cls, place: str | Path) -> "Start":
        """The weights of a finished run or of a file, which is read once for its hash.

        Args:
            place: the folder of a run (`runs/TASK/ID`), its record beside that (`ID.json`), or a
                file of weights.

        Raises:
            DataError: there are no weights.
        """
        path = _weights_file(Path(place))
        try:
            return cls(weights=path, sha256=_hash(path))
        except OSError as error:
            raise DataError(f"cannot read weights from {path}\n  {error.strerror}") from None

    @property
    def record(self) -> Record | None:
        """The record of the run of these weights, if they are in its folder.

        Raises:
            DataError: the record is damaged, or is of another run.
        """
        file = self.weights.resolve()
        path = file.parent.with_name(f"{file.parent.name}.json")
        if file.name != WEIGHTS:
            return None
        if path.exists() and is_record(path):
            return Record.load(path)
        # A folder that was moved has a record inside.
        return read_record(file.parent) if describes_run(file.parent) else None

    @property
    def description(self) -> dict[str, Any]:
        """The description of these weights in a record; their hash is in the configuration."""
        record = self.record
        if record is None:
            return {"file": self.weights.name}
        settings = {name: record.config.get(name) for name in ("task", "method", "seed")}
        return {"record": record.id} | settings

    def load_into(self, model: nn.Module, data: Data) -> None:
        """Load the weights into a model.

        Raises:
            DataError: they cannot be read, have changed, or have another vocabulary than the data.
            TaskError: they are of another model.
        """
        self._check_words(data)
        stored, current = self._read(), model.state_dict()
        if differing := weight_differences(stored, current):
            lines = "\n  ".join((*differing, *self._origin(), "begin from weights of this model"))
            raise TaskError(f"the weights in {self.weights} are of another model\n  {lines}")
        model.load_state_dict(stored)

    def _read(self) -> dict[str, Tensor]:
        stored = read_weights(self.weights)
        try:
            if _hash(self.weights) != self.sha256:
                raise DataError(f"{self.weights} has changed since the start of this command")
        except OSError as error:
            raise DataError(
                f"cannot read weights from {self.weights}\n  {error.strerror}"
            ) from None
        return stored

    def _check_words(self, data: Data) -> None:
        """Check that both vocabularies are equal, if both are known; shapes do not show it."""
        record = self.record
        words_sha256 = None if record is None else record.environment.get("vocabulary_sha256")
        if words_sha256 not in (None, words_hash(data)):
            raise DataError(
                f"the weights in {self.weights} were trained with another vocabulary\n"
                "  a vocabulary is that of the training text: begin from a run on the same text, "
                "with the same --limit"
            )

    def _origin(self) -> list[str]:
        record = self.record
        if record is None:
            return []
        config = record.config
        model = config.get("model") or "the task's own"
        return [f"they are of {config.get('task')} with {config.get('method')}, model: {model}"]


def _weights_file(place: Path) -> Path:
    if place.is_dir() and (place / WEIGHTS).is_file():
        return place / WEIGHTS
    if place.suffix == ".json" and (place.with_suffix("") / WEIGHTS).is_file():
        return place.with_suffix("") / WEIGHTS
    if place.is_file() and place.suffix != ".json":
        return place
    raise DataError(f"no start weights in {place}\n  {_advice(place)}")


def _advice(place: Path) -> str:
    runs = sorted(path.parent for path in place.glob(f"*/{WEIGHTS}")) if place.is_dir() else []
    if runs:
        return f"name one of the runs in it: {first_names(map(str, runs))}"
    if (place / FILE).exists():
        return "the run has not finished: type its command again to continue it"
    if place.exists():
        return f"a finished run has the file {WEIGHTS} in its folder"
    return "the path does not exist: give the folder of a run, or a .safetensors file"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
