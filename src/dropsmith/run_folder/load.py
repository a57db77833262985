"""A run's folder read back: a model that predicts, without the data it was trained on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import DataError, DropsmithError, TaskError, excerpt
from dropsmith.files import read_json
from dropsmith.instances import checked_path
from dropsmith.models import build_described, build_pretrained
from dropsmith.patterns import Pattern
from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.run_folder.description import RunDescription, describes_run
from dropsmith.run_folder.hub_folder import fetch_folder, is_hub_address
from dropsmith.run_folder.predictor import Predictor
from dropsmith.run_folder.weights import WEIGHTS, check_weights, read_weights
from dropsmith.run_folder.write import PLAN, PREPROCESSING, RECORD
from dropsmith.tasks import (
    Data,
    Preprocessing,
    Split,
    call_model_function,
    preprocessing_from_json,
)

ModelMaker = Callable[..., nn.Module]


def load(
    run: str | Path,
    *,
    model: nn.Module | ModelMaker | None = None,
    patterns: Sequence[type[Pattern]] = (),
    device: str | torch.device | None = None,
) -> Predictor:
    """The trained model in a run's folder, ready to predict.

    The folder may lie anywhere, and nothing of the data it was trained on is needed. No code of
    the folder is run: a model that a function of yours made is made by the function you give.

    Args:
        run: the folder of a finished run, such as `runs/digits/3b7e…`, or the record beside it; or
            the address of one on the Hub, `hf://USER/REPO` or `hf://USER/REPO@REVISION`.
        model: for a model of your own, the function that made it, or a module of the same shapes,
            which gets the weights; None for any other.
        patterns: classes of yours that its plan names.
        device: where to compute; a GPU where there is one, else the CPU.

    Raises:
        DataError: there is no finished run, or a file of it is missing or broken.
        TaskError: the model is made by a function, and none was given; or it makes another model.
        PlanError: the plan names patterns that were not given.
        MissingExtra: transformers is needed and not installed.
    """
    folder = run_folder(run)
    description = RunDescription.load(folder)
    preprocessing = _preprocessing(folder)
    weights = read_weights(folder / WEIGHTS)
    built = _model(folder, description, preprocessing, weights, model)
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Predictor(
        model=built.to(place).eval(),
        plan=Plan.load(folder / PLAN, patterns),
        preprocessing=preprocessing,
        description=description,
        record=_record(folder, description),
        folder=folder,
    )


def is_run(place: str | Path) -> bool:
    """True if a path is a run's folder, or the record of a run that lies beside its folder.

    Every address on the Hub is taken for that of a run; nothing is fetched.
    """
    if is_hub_address(place):
        return True
    path = Path(place)
    if path.suffix == ".json" and path.is_file():
        path = path.with_suffix("")
    return path.is_dir() and ((path / WEIGHTS).is_file() or describes_run(path))


def run_folder(place: str | Path) -> Path:
    """The folder of a finished run; of one on the Hub the folder that it is fetched to.

    Raises:
        DataError: there is none, or one that an earlier version left, with weights alone; or the
            Hub cannot be reached.
    """
    if isinstance(place, str) and is_hub_address(place):
        return fetch_folder(place)
    path = checked_path("run", place)
    if path.suffix == ".json" and path.with_suffix("").is_dir():
        path = path.with_suffix("")
    if not path.is_dir():
        raise DataError(
            f"there is no folder {excerpt(str(place))}\n"
            "  give the folder of a finished run: runs/TASK/ID"
        )
    if describes_run(path):
        return path
    if (path / WEIGHTS).is_file():
        raise DataError(
            f"{path} holds the weights of a run, but not what makes its model: an earlier version "
            "of dropsmith left it\n  to make the whole folder, type the command of the run again "
            "with --again"
        )
    runs = sorted(child for child in path.iterdir() if child.is_dir() and describes_run(child))
    named = ", ".join(str(child) for child in runs[:3]) + (", …" if runs[3:] else "")
    advice = f"the runs in there: {named}" if runs else "a finished run's folder is runs/TASK/ID"
    raise DataError(f"{path} is not the folder of a finished run\n  {advice}")


def _model(
    folder: Path,
    description: RunDescription,
    preprocessing: Preprocessing | None,
    weights: Mapping[str, Tensor],
    model: nn.Module | ModelMaker | None,
) -> nn.Module:
    stored, path = description.model, folder / WEIGHTS
    if model is not None:
        built = (
            model
            if isinstance(model, nn.Module)
            else _of_function(model, description, preprocessing)
        )
    elif stored["source"] == "function":
        raise TaskError(
            f"the model of {folder} is made by the function {excerpt(stored['function'])}, whose "
            "code is not in the folder\n"
            "  give the function or a module: load(folder, model=FUNCTION); on the command line "
            f"--model {stored['function'][:100]}"
        )
    elif stored["source"] == "transformers":
        built = build_pretrained(stored["wrapper"], folder, stored.get("arguments"))
    else:
        built = _described(folder, description, weights)
    check_weights(built, weights, path)
    built.load_state_dict(dict(weights))
    return built


def _described(
    folder: Path, description: RunDescription, weights: Mapping[str, Tensor]
) -> nn.Module:
    values = description.model["description"]
    try:
        with torch.device("meta"):  # sizes that the weights do not have would fill the memory
            check_weights(build_described(values), weights, folder / WEIGHTS)
        return build_described(values)
    except DataError as error:
        raise DataError(f"cannot make the model of {folder}\n  {error}") from None


def _of_function(
    function: ModelMaker, description: RunDescription, preprocessing: Preprocessing | None
) -> nn.Module:
    """The model of a function; if it takes the data, it gets two examples that hold nothing."""
    name = getattr(function, "__name__", type(function).__name__)
    with torch.random.fork_rng(devices=[]):
        return call_model_function(function, name, _blank_data(description, preprocessing))


def _blank_data(description: RunDescription, preprocessing: Preprocessing | None) -> Data:
    if preprocessing is not None:
        columns = dict(preprocessing.example().rows(slice(0, 1)))
    else:
        columns = {name: column.zeros(1) for name, column in description.inputs.items()}
    if description.kind == "classification":
        labels = torch.zeros(1, dtype=torch.long)
    else:
        labels = torch.zeros(1)
    part = Split(columns | {"labels": labels}, unit=description.unit)
    names = description.names
    return Data(
        train=part,
        validation=part,
        test=part,
        classes=len(names),
        names=names,
        sha256="",
        source="one example that holds nothing",
        vocabulary=_words(preprocessing),
        mean=description.mean,
        preprocessing=preprocessing,
    )


def _words(preprocessing: Preprocessing | None) -> tuple[str, ...]:
    vocabulary = getattr(preprocessing, "vocabulary", None)
    return () if vocabulary is None else tuple(vocabulary.words)


def _preprocessing(folder: Path) -> Preprocessing | None:
    path = folder / PREPROCESSING
    if not path.exists():
        return None
    return _read(path, lambda values: preprocessing_from_json(values, folder))


def read_record(folder: Path) -> Record:
    """The record in a run's folder; `DataError` naming the file where there is none."""
    return _read(folder / RECORD, Record.from_json)


def _record(folder: Path, description: RunDescription) -> Record:
    record = read_record(folder)
    if record.id != description.record:
        raise DataError(
            f"{folder / RECORD} is record {record.id}, and the model is of {description.record}\n"
            "  files of two runs are in one folder: type the command of the run again with --again"
        )
    return record


def _read(path: Path, make: Callable[[Any], Any]) -> Any:
    try:
        return make(read_json(path))
    except (OSError, DropsmithError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot read {path}\n  {reason}") from None
