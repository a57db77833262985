"""Models of transformers in a folder of their own, as its `from_pretrained` reads them.

Their weights are not written or read here: they are read strictly, by name, from safetensors.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dropsmith.errors import DataError
from dropsmith.files import json_text, read_json, write_text
from dropsmith.models.image_processor import ImageProcessor
from dropsmith.models.pretrained import (
    PretrainedClassifier,
    load_pretrained,
    pretrained_faults,
    transformers_library,
)
from dropsmith.models.pretrained_images import PretrainedImages
from dropsmith.models.pretrained_mixed import PretrainedMixed
from dropsmith.models.pretrained_writer import PretrainedWriter

PretrainedModel = PretrainedClassifier | PretrainedImages | PretrainedMixed | PretrainedWriter

_LIBRARY_CLASSES = {
    "PretrainedClassifier": "AutoModelForSequenceClassification",
    "PretrainedImages": "AutoModelForImageClassification",
    "PretrainedMixed": "AutoModelForSequenceClassification",
    "PretrainedWriter": "AutoModelForSeq2SeqLM",
}

_CONFIG, _PROCESSOR, _GENERATION = (
    "config.json",
    "preprocessor_config.json",
    "generation_config.json",
)

CONFIGURATION_FILES = (_CONFIG, _PROCESSOR, _GENERATION)
"""The files of a folder that a model of transformers is built from, beside its weights."""

_CODE = ("auto_map", "attn_implementation", "_attn_implementation", "quantization_config")
"""Fields of a configuration by which transformers fetches code or other libraries."""


def save_configuration(model: PretrainedModel, folder: Path, names: Sequence[str]) -> None:
    """Write the files that `from_pretrained` reads beside weights, each whole or not at all.

    Args:
        model: with its net of transformers.
        folder: for the files.
        names: what the classes are called; empty for a value or a text.
    """
    config: Any = copy.deepcopy(model.net.config)
    config.architectures = [type(model.net).__name__]
    config.dtype = str(next(model.net.parameters()).dtype).removeprefix("torch.")
    if names and not isinstance(model, PretrainedMixed):
        config.id2label = dict(enumerate(names))
        config.label2id = {name: number for number, name in enumerate(names)}
    elif isinstance(model, PretrainedClassifier):
        config.problem_type = "regression"
    write_text(folder / _CONFIG, config.to_json_string())
    if isinstance(model, PretrainedImages):
        write_text(folder / _PROCESSOR, json_text(model.processor.to_json()))
    generation = getattr(model.net, "generation_config", None)
    if isinstance(model, PretrainedWriter) and generation is not None:
        write_text(folder / _GENERATION, generation.to_json_string())


def build_pretrained(
    wrapper: str, folder: Path, arguments: Mapping[str, int] | None = None
) -> nn.Module:
    """The model of a folder that `save_configuration` wrote, with weights that mean nothing yet.

    No weights are read, nothing is fetched, and no code of the folder is run.

    Args:
        wrapper: the class around the model: `PretrainedClassifier` or one like it.
        folder: of the files.
        arguments: of a `PretrainedMixed`.

    Raises:
        DataError: the configuration names code, or cannot be read.
        TaskError: transformers makes no model of it.
        MissingExtra: transformers is not installed.
    """
    place = str(folder)
    _check_configuration(folder / _CONFIG)
    library = transformers_library(place)
    config = load_pretrained(place, library.AutoConfig.from_pretrained)
    library_class = getattr(library, _LIBRARY_CLASSES[wrapper])
    with pretrained_faults(place), torch.random.fork_rng(devices=[]):
        net: Any = library_class.from_config(config, trust_remote_code=False)
    if wrapper == "PretrainedImages":
        return PretrainedImages.around(net, ImageProcessor.load(place), place)
    if wrapper == "PretrainedMixed":
        return _mixed(net, arguments or {})
    if wrapper == "PretrainedClassifier":
        return PretrainedClassifier.around(net)
    if (folder / _GENERATION).exists():
        net.generation_config = load_pretrained(place, library.GenerationConfig.from_pretrained)
    return PretrainedWriter.around(net)


def _mixed(net: Any, arguments: Mapping[str, int]) -> nn.Module:
    try:
        with torch.random.fork_rng(devices=[]):
            return PretrainedMixed.around(net, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"no PretrainedMixed has these arguments: {error}") from None


def _check_configuration(path: Path) -> None:
    try:
        values = read_json(path)
    except (OSError, DataError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot read {path}\n  {reason}") from None
    if not isinstance(values, dict):
        raise DataError(f"cannot read {path}\n  it is no JSON object")
    if code := [name for name in _CODE if values.get(name) is not None]:
        raise DataError(
            f"the field {code[0]} of {path} names code outside the folder, and none is run\n"
            "  remove it; a run of dropsmith has no such field"
        )
