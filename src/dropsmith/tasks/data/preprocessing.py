"""The steps from raw inputs, such as the rows of a table, to the columns that a model takes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.part import Part


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Examples that are read for prediction.

    Args:
        names: one for each example: the value of an id column where there is one, else the number
            of the row from 1; of a picture its path within its folder.
        part: the columns as the model's forward takes them, without labels.
        labels: numbers as in training, where the source has labels: -100 where a row has no class,
            NaN where it has no value. None where the source has none.
        texts: what a person reads of each, to be shown; empty where examples are pictures.
    """

    names: tuple[str, ...]
    part: Part
    labels: Tensor | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Preprocessing(ABC):
    """The steps from raw inputs to a model's columns, as they were fitted on the training data.

    A frozen value that needs nothing of that data: words, means and names of classes are in it.

    Args:
        input: what the model's forward calls the one input, where the task calls it otherwise.
    """

    kind: ClassVar[str]
    """The word by which JSON names the class."""

    input: str | None = None

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """JSON values with the `kind`, from which `preprocessing_from_json` makes it again."""

    @classmethod
    @abstractmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        """The preprocessing in JSON values.

        Args:
            values: as `to_json` returns them.
            folder: the one that `save_files` wrote to.

        Raises:
            DataError: the values are none, or a file that belongs to them is missing.
        """

    @abstractmethod
    def read(self, source: Path, bounds: Bounds = USUAL) -> Inputs:
        """New examples from a file, or from a folder where examples are pictures.

        Raises:
            DataError: it is not there, lacks a column, or is not what it should be.
        """

    def inputs(self, rows: Sequence[Mapping[str, Any]]) -> Inputs:
        """New examples from rows by the name of their column, as of JSON lines or a DataFrame.

        Raises:
            DataError: a row lacks a column or holds what cannot be read; examples are no rows.
        """
        raise DataError(
            f"examples of the kind {self.kind!r} cannot be given as rows\n"
            "  give the path of a file or folder"
        )

    @abstractmethod
    def example(self) -> Part:
        """One made-up example without a label, of the shape that all have: to build a model by."""

    def save_files(self, folder: Path) -> None:
        """Write the files that it needs beside its JSON, such as a tokenizer's, to a folder."""
        return

    def rename_input(self, name: str) -> Self:
        """The same for a model whose forward calls its one input `name`."""
        return replace(self, input=name)

    def with_input_name(self, part: Part) -> Part:
        """The part, its one input renamed where the model calls it otherwise."""
        return part if self.input is None else part.rename_input(self.input)
