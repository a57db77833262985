"""The model classes that the installed transformers registers, with the configuration of each."""

from dataclasses import dataclass
from random import Random
from typing import Any

import transformers
from transformers.models.auto import configuration_auto, modeling_auto

HEADS = {
    "CAUSAL_LM": "causal",
    "MASKED_LM": "masked",
    "SEQ_TO_SEQ_CAUSAL_LM": "translation",
    "SPEECH_SEQ_2_SEQ": "translation",
    "SEQUENCE_CLASSIFICATION": "classes",
    "TOKEN_CLASSIFICATION": "tokens",
    "QUESTION_ANSWERING": "spans",
    "DOCUMENT_QUESTION_ANSWERING": "spans",
    "MULTIPLE_CHOICE": "choices",
    "NEXT_SENTENCE_PREDICTION": "classes",
    "IMAGE_CLASSIFICATION": "classes",
    "VIDEO_CLASSIFICATION": "classes",
    "AUDIO_CLASSIFICATION": "classes",
    "AUDIO_XVECTOR": "classes",
    "AUDIO_FRAME_CLASSIFICATION": "frames",
    "SEMANTIC_SEGMENTATION": "pixels",
    "OBJECT_DETECTION": "boxes",
    "CTC": "characters",
    "IMAGE_TEXT_TO_TEXT": "causal",
    "MULTIMODAL_LM": "causal",
}
"""The labels that a mapping's classes take, by the mapping's name; classes of others take none."""


@dataclass(frozen=True, kw_only=True)
class ModelClass:
    """A model class of transformers.

    Args:
        name: of the class.
        config: name of its configuration class.
        family: its model type, such as `bert`.
        labels: the kind of labels it takes, or "" where none are given.
    """

    name: str
    config: str
    family: str
    labels: str

    @property
    def type(self) -> Any:
        """The class itself."""
        return getattr(transformers, self.name)

    @property
    def config_type(self) -> Any:
        """Its configuration's class."""
        return getattr(self.type, "config_class", None) or getattr(transformers, self.config)


def model_classes() -> list[ModelClass]:
    """Every registered class once, families taking turns, so that any first part is varied."""
    families: dict[str, dict[str, ModelClass]] = {}
    for head, mapping in _mappings().items():
        for family, names in mapping.items():
            if family in configuration_auto.CONFIG_MAPPING_NAMES:
                classes = families.setdefault(family, {})
                for name in [names] if isinstance(names, str) else names:
                    if name not in classes or not classes[name].labels:
                        classes[name] = _class(name, family, head)
    return _in_turns([list(classes.values()) for classes in families.values()])


def _mappings() -> dict[str, dict[str, Any]]:
    start, end = "MODEL_FOR_", "_MAPPING_NAMES"
    names = [name for name in vars(modeling_auto) if name.endswith(end) and "CONFIG" not in name]
    heads = {name.removeprefix(start).removesuffix(end): name for name in names}
    # Base models come last in a family: its heads run them too.
    order = sorted(heads, key=lambda head: (head not in HEADS, head == "MODEL", head))
    return {head: dict(getattr(modeling_auto, heads[head])) for head in order}


def _class(name: str, family: str, head: str) -> ModelClass:
    config = configuration_auto.CONFIG_MAPPING_NAMES[family]
    return ModelClass(name=name, config=config, family=family, labels=HEADS.get(head, ""))


def _in_turns(families: list[list[ModelClass]]) -> list[ModelClass]:
    """The first of each family from another place in its list, then the second, and so on."""
    # In a random order: registered one after another are those of a kind.
    Random(0).shuffle(families)
    turned = [
        classes[(shift := number % len(classes)) :] + classes[:shift]
        for number, classes in enumerate(families)
    ]
    longest = max(map(len, turned))
    ordered = [classes[i] for i in range(longest) for classes in turned if i < len(classes)]
    return list({one.name: one for one in reversed(ordered)}.values())[::-1]
