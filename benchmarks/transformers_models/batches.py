"""A small batch for any model of transformers, made from what its forward takes."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import torch
from benchmarks.transformers_models.configs import IMAGE, MELS, PATCH, WIDTH
from torch import Tensor, nn

ROWS, TIME, FIRST_WORD, LAST_WORD = 3, 7, 5, 60
ATTEMPTS = 6
GRID = [1, 4, 4]
"""Frames, patches downwards and across of a packed picture."""
_MISMATCH = re.compile(
    r"([A-Za-z]*) ?features and [\w ]*tokens do not match\W+tokens:? (\d+)\D+features:? (\d+)"
)
_LENGTH = re.compile(r"input features to be of length (\d+)")
_HINTS = {
    "expected 5, got 4": "several",
    "mono": "mono",
    "to have 1 channels": "mono",
    "to have 16 channels": "mels_first",
}
"""What a batch is to have, by a word in the error where it has not: several pictures a row, one
channel of sound, frequencies before time."""
Batch = dict[str, Any]


class Unsuited(Exception):
    """No batch was found that the model itself takes."""


def batch_for(model: nn.Module, labels: str) -> Batch:
    """A batch on which the model runs in train mode, the second row padded where it can be.

    Raises:
        Unsuited: the model fails on every batch that was tried, with its last error.
    """
    maker, errors = _Maker(model, labels), []
    for _ in range(ATTEMPTS):
        try:
            batch = maker.batch()
            model.train()(**batch)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {_line(error)}")
            if not maker.learn(error):
                break
        else:
            return batch
    raise Unsuited(" | ".join(dict.fromkeys(errors)))


class _Maker:
    """Makes batches for one model, each from what was wrong with the last."""

    def __init__(self, model: nn.Module, labels: str) -> None:
        self.config: Any = model.config
        self.labels, self.time, self.padded = labels, TIME, True
        self.media: dict[str, int] = {}
        self.several, self.mono, self.mels_first, self.frames = False, False, False, 40
        parameters = inspect.signature(model.forward).parameters.values()
        variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        self.takes = {p.name: p.default is p.empty for p in parameters if p.kind not in variable}
        self.image = _image_size(self.config)
        self.fallbacks: list[Callable[[], None]] = [self._unpad, self._no_labels, self._larger]

    def batch(self) -> Batch:
        torch.manual_seed(0)
        targets = self._targets()
        batch = {
            name: value
            for name, make in _INPUTS.items()
            if name in self.takes and (value := make(self)) is not None
        }
        batch |= {
            name: value
            for name, required in self.takes.items()
            if required and name not in batch and (value := _required(self, name)) is not None
        }
        if "decoder_input_ids" in self.takes and self.labels in ("", "causal"):
            batch["decoder_input_ids"] = torch.randint(FIRST_WORD, LAST_WORD, (ROWS, TIME - 1))
        return batch | targets

    def learn(self, error: Exception) -> bool:
        """Change what the next batch is like; whether there is anything left to change."""
        found = _MISMATCH.search(str(error))
        if found is not None:
            kind, tokens, features = found[1].lower() or "image", int(found[2]), int(found[3])
            # Some messages count numbers, not features.
            self.media[kind] = features // ROWS // (WIDTH if tokens == features else 1)
            return True
        for word, name in _HINTS.items():
            if word in str(error) and not getattr(self, name):
                setattr(self, name, True)
                return True
        if (length := _LENGTH.search(str(error))) is not None:
            self.frames, self.mels_first = int(length[1]), True
            return True
        if self.fallbacks:
            self.fallbacks.pop(0)()
            return True
        return False

    def _unpad(self) -> None:
        self.padded = False

    def _no_labels(self) -> None:
        self.labels = ""

    def _larger(self) -> None:
        self.image, self.time = self.image * 2, 16

    def words(self) -> Tensor:
        """Word ids, with as many places for media as they have features."""
        first, last = FIRST_WORD, min(LAST_WORD, _vocabulary(self.config))
        places = [self._media_id(kind) for kind, n in self.media.items() for _ in range(n)]
        words = torch.randint(first, last, (ROWS, self.time + len(places)))
        words[1, -2:] = words[1, -2:].masked_fill(torch.tensor(self.padded), _pad(self.config))
        if self.labels in ("classes", "spans"):
            words[:, -3] = 2  # encoder-decoders classify by the end of the text
        for place, media in enumerate(places):
            words[:, 1 + place] = media
        return words[:, None].repeat(1, 2, 1) if self.labels == "choices" else words

    def _media_id(self, kind: str) -> int:
        names = [f"{kind}_token_{end}" for end in ("id", "index", "idx")] + [f"media_token_{kind}"]
        ids = [getattr(self.config, name, None) for name in names]
        return next((one for one in ids if isinstance(one, int)), 0)

    def mask(self) -> Tensor:
        mask = torch.ones(ROWS, self.words().shape[-1], dtype=torch.long)
        mask[1, -2:] = 0 if self.padded else 1
        return mask[:, None].repeat(1, 2, 1) if self.labels == "choices" else mask

    def _targets(self) -> Batch:
        make = _TARGETS.get(self.labels)
        if make is None:
            return {}
        return {name: value for name, value in make(self).items() if name in self.takes}

    def pixels(self) -> Tensor:
        channels = _of(self.config, ("num_channels", "in_channels", "in_chans"), 3)
        if not isinstance(channels, int):
            channels = 3
        pixels = torch.randn(ROWS, channels, self.image, self.image)
        return pixels[:, None] if self.several else pixels


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _parts(config: Any) -> list[Any]:
    names = getattr(config, "sub_configs_defaults", {})
    return [config, *(part for name in names if (part := getattr(config, name, None)) is not None)]


def _of(config: Any, names: tuple[str, ...], default: Any) -> Any:
    """The first of the names that the configuration or a part of it has a value for."""
    values = (getattr(part, name, None) for part in _parts(config) for name in names)
    return next((value for value in values if value is not None), default)


def _image_size(config: Any) -> int:
    size = _of(config, ("image_size", "img_size"), 2 * IMAGE)
    size = size[0] if isinstance(size, list | tuple) else size
    return size if isinstance(size, int) else 2 * IMAGE


def _vocabulary(config: Any) -> int:
    size = _of(config, ("vocab_size",), LAST_WORD)
    return size if isinstance(size, int) and size > FIRST_WORD else LAST_WORD


def _pad(config: Any) -> int:
    pad = _of(config, ("pad_token_id",), 1)
    return pad if isinstance(pad, int) and 0 <= pad < _vocabulary(config) else 1


def _audio(maker: _Maker) -> Tensor:
    mels = _of(maker.config, ("num_mel_bins", "input_feat_per_channel", "feature_size"), MELS)
    positions = _of(maker.config, ("max_source_positions",), None)
    if maker.config.model_type in ("whisper", "qwen2_audio", "voxtral"):
        return torch.randn(ROWS, mels, 2 * (positions or 20))
    frames = torch.randn(ROWS, maker.frames, mels)
    return frames.transpose(1, 2).contiguous() if maker.mels_first else frames


def _waves(maker: _Maker) -> Tensor:
    if maker.mono:
        return torch.randn(ROWS, 1, 400)
    length = getattr(maker.config, "max_length", None)
    if maker.config.model_type == "audio-spectrogram-transformer":
        return torch.randn(ROWS, length or 1024, maker.config.num_mel_bins)
    return torch.randn(ROWS, 400)


def _boxes(maker: _Maker) -> Tensor:
    corners = torch.tensor([1, 2, 5, 8])
    return corners.expand(ROWS, maker.words().shape[-1], 4).contiguous()


def _video(maker: _Maker) -> Tensor:
    frames = _of(maker.config, ("num_frames", "frames_per_clip"), 4)
    return torch.randn(ROWS, frames, 3, maker.image, maker.image)


def _picture(maker: _Maker) -> Tensor | None:
    text = "input_ids" in maker.takes
    if text and not maker.takes["pixel_values"] and not _has_vision(maker.config):
        return None
    if {"image_grid_thw", "grid_thw"} & maker.takes.keys():
        return _packed(maker)
    if "spatial_shapes" in maker.takes:
        return torch.randn(ROWS, GRID[1] * GRID[2], _packed_width(maker.config))
    if "video" in type(maker.config).__name__.lower() or maker.config.model_type in _VIDEOS:
        return _video(maker)
    return maker.pixels()


_VIDEOS = ("timesformer", "vivit", "videomae", "vjepa2")


def _sees(maker: _Maker) -> bool:
    return maker.takes.get("pixel_values", False) or (
        "pixel_values" in maker.takes and _has_vision(maker.config)
    )


def _packed(maker: _Maker) -> Tensor:
    return torch.randn(ROWS * GRID[1] * GRID[2], _packed_width(maker.config))


def _packed_width(config: Any) -> int:
    """Numbers of one patch where pictures are packed, all patches of a batch after another."""
    channels, frames, side = (
        _of(config, names, default)
        for names, default in (
            (("in_channels", "num_channels", "in_chans"), 3),
            (("temporal_patch_size",), 1),
            (("patch_size", "spatial_patch_size"), PATCH),
        )
    )
    return channels * frames * side * side


def _media_places(maker: _Maker) -> Tensor | None:
    words = maker.words()
    places = torch.zeros_like(words)
    for number, kind in enumerate(("image", "video", "audio")):
        if kind in maker.media:
            places[words == maker._media_id(kind)] = number + 1
    return places


def _seen_patches(maker: _Maker) -> Tensor | None:
    if "spatial_shapes" not in maker.takes:
        return None
    return torch.ones(ROWS, GRID[1] * GRID[2], dtype=torch.long)


def _has_vision(config: Any) -> bool:
    return any(hasattr(config, name) for name in ("vision_config", "image_size", "num_channels"))


_INPUTS: dict[str, Callable[[_Maker], Any]] = {
    "input_ids": lambda maker: maker.words(),
    "attention_mask": lambda maker: maker.mask() if "input_ids" in maker.takes else None,
    "bbox": _boxes,
    "pixel_values": _picture,
    "image_grid_thw": lambda maker: torch.tensor([GRID] * ROWS) if _sees(maker) else None,
    "mm_token_type_ids": _media_places,
    "pixel_attention_mask": lambda maker: _seen_patches(maker) if _sees(maker) else None,
    "spatial_shapes": lambda maker: torch.tensor([GRID[1:]] * ROWS) if _sees(maker) else None,
    "input_values": _waves,
    "input_features": _audio,
    "use_cache": lambda maker: False if "labels" in maker.takes else None,
    "past_values": lambda maker: torch.randn(ROWS, *_series(maker.config)),
    "return_loss": lambda maker: None,
}


def _series(config: Any) -> tuple[int, ...]:
    length = _of(config, ("context_length",), 64)
    channels = _of(config, ("num_input_channels",), None)
    return (length,) if channels is None else (length, channels)


def _required(maker: _Maker, name: str) -> Any:
    if name in ("qformer_input_ids",):
        return maker.words()
    if name == "pixel_values_videos":
        return _video(maker)
    if name == "hidden_states" and "grid_thw" in maker.takes:
        return _packed(maker)
    if name == "grid_thw":
        return torch.tensor([GRID] * ROWS)
    if name == "input_features_mask":
        return torch.ones(ROWS, 40, dtype=torch.long)
    if name == "query_embeds":
        return torch.randn(ROWS, 4, maker.config.hidden_size)
    return None


def _classes(maker: _Maker) -> Batch:
    return {"labels": torch.arange(ROWS) % 2}


def _choices(maker: _Maker) -> Batch:
    return {"labels": torch.arange(ROWS) % 2}


def _word_labels(maker: _Maker) -> Batch:
    words = maker.words()
    hidden = maker.mask() == 0
    for kind in maker.media:
        hidden = hidden | (words == maker._media_id(kind))
    return {"labels": words.masked_fill(hidden, -100)}


def _tags(maker: _Maker) -> Batch:
    words = maker.words()
    return {"labels": (words % 2).masked_fill(maker.mask() == 0, -100)}


def _translation(maker: _Maker) -> Batch:
    return {"labels": torch.randint(FIRST_WORD, LAST_WORD, (ROWS, TIME - 2))}


def _spans(maker: _Maker) -> Batch:
    rows = torch.arange(ROWS)
    return {"start_positions": rows % 3, "end_positions": rows % 3 + 1}


def _pixels(maker: _Maker) -> Batch:
    return {"labels": torch.randint(0, 2, (ROWS, maker.image, maker.image))}


def _detections(maker: _Maker) -> Batch:
    box = torch.tensor([[0.5, 0.5, 0.3, 0.2]])
    count = torch.arange(ROWS) % 2 + 1
    rows = [(torch.arange(int(n)) % 2, box.repeat(int(n), 1)) for n in count]
    return {"labels": [{"class_labels": classes, "boxes": boxes} for classes, boxes in rows]}


def _characters(maker: _Maker) -> Batch:
    return {"labels": torch.randint(FIRST_WORD, LAST_WORD, (ROWS, 3))}


_TARGETS: dict[str, Callable[[_Maker], Batch]] = {
    "causal": _word_labels,
    "masked": _word_labels,
    "translation": _translation,
    "classes": _classes,
    "choices": _choices,
    "tokens": _tags,
    "spans": _spans,
    "pixels": _pixels,
    "boxes": _detections,
    "characters": _characters,
}
