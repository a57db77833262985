"""A format of files: how a traced model is written, and how the file is run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from dropsmith.deployment.exported import Format
from dropsmith.deployment.trace import Traced
from dropsmith.errors import MissingExtra
from dropsmith.portable import Recorder

Run = Callable[[Mapping[str, Tensor]], list[Tensor]]
"""Takes the inputs of a graph by name; returns its outputs."""


class FileFormat(ABC):
    """One format of files."""

    name: ClassVar[Format]
    suffix: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()
    runtime: ClassVar[str]
    closed_loops: ClassVar[bool] = False

    def check_installed(self) -> None:
        """Raise `MissingExtra` where a library is missing that writes or runs the file."""
        for library in self.libraries:
            try:
                import_module(library)
            except ImportError:
                extra = "openvino" if library == "openvino" else "export"
                raise MissingExtra(f"format={self.name!r}", library, extra) from None

    def recorder(self) -> Recorder | None:
        """What makes the computations of masks while a model is traced for this format."""
        return None

    @abstractmethod
    def write(self, traced: Traced, path: Path) -> None:
        """Write the file, and what belongs beside it."""

    @abstractmethod
    def load(self, path: Path) -> Run:
        """What runs the file."""
