"""The configuration of a finished run's folder in JSON: its fields, their types and ranges."""

from typing import Annotated, Literal, NotRequired

from annotated_types import Ge, Gt, Le, Len
from typing_extensions import TypedDict

from dropsmith.files import Count, FiniteNumber
from dropsmith.models import StoredModel
from dropsmith.record import RecordId

FORMAT, VERSION = "dropsmith.run", 1

_Name = Annotated[str, Len(1, 500)]
_Size = Annotated[int, Ge(0), Le(2**31)]


class StoredColumn(TypedDict):
    """One input of the model's forward: its dtype, and the shape of one example of it."""

    dtype: Annotated[str, Len(1, 40)]
    shape: Annotated[list[_Size], Len(0, 8)]


class StoredBuiltModel(TypedDict):
    """A model of dropsmith: made from its class and arguments."""

    source: Literal["dropsmith"]
    description: StoredModel


class StoredHubModel(TypedDict):
    """A model of transformers: made from the `config.json` beside, which is transformers' own."""

    source: Literal["transformers"]
    wrapper: Literal[
        "PretrainedClassifier", "PretrainedImages", "PretrainedMixed", "PretrainedWriter"
    ]
    checkpoint: _Name
    arguments: NotRequired[dict[str, Annotated[int, Ge(1), Le(2**20)]]]


class StoredFunctionModel(TypedDict):
    """A model of the user's own: made by a function, which the reader gives."""

    source: Literal["function"]
    function: _Name
    sha256: Annotated[str, Len(64, 64)] | None


class StoredRun(TypedDict):
    """The configuration of a run's folder."""

    format: Literal["dropsmith.run"]
    version: Annotated[int, Ge(1), Le(VERSION)]
    dropsmith: str
    record: RecordId
    task: str
    method: str
    kind: Literal["classification", "regression"]
    names: list[str]
    mean: FiniteNumber
    unit: Annotated[FiniteNumber, Gt(0)]
    inputs: dict[str, StoredColumn]
    noise_step: Count
    model: StoredBuiltModel | StoredHubModel | StoredFunctionModel
