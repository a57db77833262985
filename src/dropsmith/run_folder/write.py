"""The folder of a finished run: all that using its model takes, so that it can be moved or sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith._version import __version__
from dropsmith.files import json_text, keep_trying, write_text
from dropsmith.models import (
    PretrainedClassifier,
    PretrainedImages,
    PretrainedMixed,
    PretrainedModel,
    PretrainedWriter,
    build_described,
    describe_model,
    save_configuration,
)
from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.run_folder.card import model_card
from dropsmith.run_folder.description import CONFIG, CONFIG_BESIDE, Column, RunDescription
from dropsmith.run_folder.weights import WEIGHTS, weight_differences, write_weights
from dropsmith.tasks import Data, GenerationScores, Kind

PREPROCESSING, PLAN, RECORD, CARD = "preprocessing.json", "plan.json", "record.json", "README.md"
"""Names of the files in the folder beside the weights and the description."""

GENERATED = "generated.json"
"""The name of the file with what the model wrote for the test examples, where it writes."""

_FIRST_TO_GO = (RECORD, CONFIG_BESIDE, CONFIG)

PRETRAINED = (PretrainedClassifier, PretrainedImages, PretrainedMixed, PretrainedWriter)


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that has come to its end, as values.

    Args:
        record: of the run.
        kind: of its task.
        data: that it was trained on.
        plan: of its noise.
        model: that was trained.
        weights: the ones to keep, by name.
        noise_step: the step that rates on a schedule are those of.
        generation: what was written for the test examples.
    """

    record: Record
    kind: Kind
    data: Data
    plan: Plan
    model: nn.Module
    weights: Mapping[str, Tensor]
    noise_step: int
    generation: GenerationScores = field(default_factory=GenerationScores)

    @property
    def description(self) -> RunDescription:
        """What makes the model again."""
        columns = self.data.train.rows(slice(0, 1))
        return RunDescription(
            dropsmith=__version__,
            record=self.record.id,
            task=self.record.config["task"],
            method=self.record.config["method"],
            kind=self.kind,
            names=self.data.names if self.kind == "classification" else (),
            mean=self.data.mean,
            unit=self.data.train.unit,
            inputs={name: Column.of(c) for name, c in columns.items() if name != "labels"},
            noise_step=self.noise_step,
            model=self._model_description(),
        )

    def write(self, folder: Path) -> None:
        """Write every file of the folder, each whole or not at all, however long the disk is full.

        Of an older run of the same id, the records and the description go first, and the record
        comes last: a process that is killed leaves no folder with files of two runs, and no record
        of a finished run without its folder.

        Raises:
            OSError: the folder cannot be written to.
        """
        folder.mkdir(parents=True, exist_ok=True)
        own_name = f"{self.record.id}.json"
        older = (folder.parent / own_name, *(folder / name for name in (own_name, *_FIRST_TO_GO)))
        for path in older:
            path.unlink(missing_ok=True)
        for write in self._writes(folder):
            keep_trying(write, folder)

    def _writes(self, folder: Path) -> list[Callable[[], Any]]:
        description, record, net = self.description, self.record, self._pretrained
        preprocessing = self.data.preprocessing
        card = model_card(record, description, self.plan, predicts=preprocessing is not None)
        texts = {
            "dropsmith": __version__,
            "record": record.id,
            "task": description.task,
            "method": description.method,
        }
        unwrap = net is not None and not isinstance(net, PretrainedMixed)
        writes: list[Callable[[], Any]] = []
        if net is not None:
            writes.append(partial(save_configuration, net, folder, description.names))
        if preprocessing is not None:
            text = json_text(preprocessing.to_json())
            writes.append(partial(write_text, folder / PREPROCESSING, text))
            writes.append(partial(preprocessing.save_files, folder))
        if self.generation.texts:
            written = {"inputs": self.generation.inputs, "texts": self.generation.texts}
            text = json_text({name: list(values) for name, values in written.items()})
            writes.append(partial(write_text, folder / GENERATED, text))
        return [
            *writes,
            partial(write_weights, folder / WEIGHTS, self.weights, texts, unwrap=unwrap),
            partial(self.plan.save, folder / PLAN),
            partial(write_text, folder / CARD, card),
            partial(description.save, folder),
            partial(write_text, folder / RECORD, json_text(record.to_json())),
        ]

    @property
    def _pretrained(self) -> PretrainedModel | None:
        return self.model if type(self.model) in PRETRAINED else None  # pyright: ignore

    def _model_description(self) -> dict[str, Any]:
        spec = self.record.config.get("model")
        if self._pretrained is not None:
            wrapper = type(self.model).__name__
            source: dict[str, Any] = {"source": "transformers", "wrapper": wrapper}
            if isinstance(self.model, PretrainedMixed):
                source["arguments"] = self.model.arguments
            return source | {"checkpoint": spec or "a config"}
        described = describe_model(self.model)
        if described is not None and self._is_made_by(described):
            return {"source": "dropsmith", "description": described}
        sha256 = self.record.environment.get("model_sha256")
        return {"source": "function", "function": spec or "none:none", "sha256": sha256}

    def _is_made_by(self, described: Any) -> bool:
        """True if a description makes parameters of these names and shapes."""
        with torch.device("meta"):
            made = build_described(described)
        return not weight_differences(self.weights, made.state_dict())
