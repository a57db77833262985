"""Drawn masks over real inputs, one row for each kind of noise."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from dropsmith.report.figures import QUIET, blank, drawing
from dropsmith.report.masks import Drawn
from dropsmith.report.numbers import brief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DROPPED = np.array([0.90, 0.42, 0.10])
_CLIP = False
"""An image fills its panel, and clip paths are named by memory addresses: never twice the same."""

_ACROSS, _TILES, _UNITS, _TIMES = 4, 8, 48, 16


def gallery_figure(
    batch: Mapping[str, Tensor], drawn: Sequence[Drawn], vocabulary: Sequence[str] = ()
) -> "Figure":
    """A row of inputs, then a row per noise: what was dropped is orange, the rest grey by value.

    Args:
        batch: the examples, `image` or `tokens`.
        drawn: what each noise did to them.
        vocabulary: the words that tokens stand for.
    """
    examples = len(next(iter(batch.values())))
    inputs = "image" in batch
    rows = [*([None] if inputs else []), *drawn]
    heights = [1.0 if one is None else _height(one) for one in rows]
    with drawing():
        figure = blank(9.2, 0.4 + 1.15 * sum(heights), gap=0.06)
        panels = figure.subplots(
            len(rows), examples, squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for line, one in zip(panels, rows, strict=True):
            for example, panel in enumerate(line):
                _panel(panel, one, batch, example, vocabulary)
            _label(line, one)
    return figure


def _panel(
    panel: Any,
    one: Drawn | None,
    batch: Mapping[str, Tensor],
    example: int,
    vocabulary: Sequence[str],
) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    if one is None:
        image = batch["image"][example].permute(1, 2, 0).numpy()
        pixels = 1 - image[..., 0] if image.shape[-1] == 1 else image
        panel.imshow(pixels, cmap="gray", clip_on=_CLIP)
        return
    shape = "equal" if one.values.ndim == 4 else "auto"
    panel.imshow(picture(one, example), interpolation="nearest", aspect=shape, clip_on=_CLIP)
    if one.site.kind == "weight" and example:
        panel.clear()
        panel.set_axis_off()
    if one.axes == ("batch", "time", "unit") and "tokens" in batch and vocabulary:
        _words(panel, batch["tokens"][example][:_TIMES].tolist(), vocabulary)


def _words(panel: Any, ids: Sequence[int], vocabulary: Sequence[str]) -> None:
    panel.set_yticks(range(len(ids)), [vocabulary[index] for index in ids], fontsize=6)
    panel.tick_params(length=0, pad=1)


def _label(line: Sequence[Any], one: Drawn | None) -> None:
    line[0].set_title("input" if one is None else one.noise, loc="left", fontweight="bold")
    if one is not None:
        where = f"{brief(one.rule.pattern)} at {one.site.name}"
        line[-1].set_title(where, loc="right", fontsize=8, color=QUIET)


def _height(one: Drawn) -> float:
    return 1.0 if one.values.ndim == 2 else 1.5


def picture(one: Drawn, example: int) -> np.ndarray:
    """One example as colours `[height, width, 3]`: grey by value, orange where dropped."""
    if one.site.kind == "weight":
        return _coloured(one.values[:_UNITS, :_UNITS], one.dropped[:_UNITS, :_UNITS])
    values, dropped = one.values[example], one.dropped[example]
    if values.ndim == 3:
        tiles = [_coloured(*pair) for pair in zip(values[:_TILES], dropped[:_TILES], strict=True)]
        return _mosaic(tiles)
    if values.ndim == 2:
        return _coloured(values[:_TIMES, :_UNITS], dropped[:_TIMES, :_UNITS])
    width = 2 * _UNITS
    rows = max(1, min(len(values) // width, _TIMES))
    count = min(len(values), rows * width)
    return _coloured(values[:count].reshape(rows, -1), dropped[:count].reshape(rows, -1))


def _coloured(values: Tensor, dropped: Tensor) -> np.ndarray:
    size = values.abs().numpy()
    high = np.quantile(size, 0.98) or 1.0
    grey = 0.95 - 0.75 * np.clip(size / high, 0, 1)
    colours = np.repeat(grey[..., None], 3, axis=-1)
    colours[dropped.numpy()] = _DROPPED
    return colours


def _mosaic(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Tiles side by side, four across, with white gaps."""
    height, width = tiles[0].shape[:2]
    down = -(-len(tiles) // _ACROSS)
    sheet = np.ones((down * (height + 1) - 1, _ACROSS * (width + 1) - 1, 3))
    for index, tile in enumerate(tiles):
        top, left = index // _ACROSS * (height + 1), index % _ACROSS * (width + 1)
        sheet[top : top + height, left : left + width] = tile
    return sheet
