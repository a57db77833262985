"""Masks over real inputs, one row for each kind of noise."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from dropsmith.report.cells import picture_name
from dropsmith.report.figures import QUIET, SMALL, WIDE, blank, drawing
from dropsmith.report.inline_svg import tip
from dropsmith.report.masks import MaskExample
from dropsmith.report.numbers import brief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DROP_COLOUR = np.array([0.90, 0.42, 0.10])
_CLIP = False
"""An image fills its panel, and clip paths are named by memory addresses: never twice the same."""

_ACROSS, _TILES, _UNITS, _TIMES = 4, 8, 48, 16


def gallery_figure(
    batch: Mapping[str, Tensor],
    examples: Sequence[MaskExample],
    vocabulary: Sequence[str] = (),
    width: float = WIDE,
) -> "Figure":
    """A row of inputs, then a row per noise: what was dropped is orange, the rest grey by value.

    Args:
        batch: the examples, `image` or `tokens`.
        examples: the masks of each noise over them.
        vocabulary: the words of the tokens.
        width: of the picture in inches; a narrow one shows one text.
    """
    columns = len(next(iter(batch.values())))
    columns = columns if width >= WIDE or "image" in batch else 1
    inputs = "image" in batch
    rows = [*([None] if inputs else []), *examples]
    heights = [1.0 if row is None else _height(row) for row in rows]
    with drawing():
        scale = 1.15 if width >= WIDE or not inputs else 0.7
        titles = 0.3 * len(rows)
        figure = blank(width, 0.3 + scale * sum(heights) + titles, gap=0.06, gap_below=0.28)
        panels = figure.subplots(
            len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for line, row in zip(panels, rows, strict=True):
            for example, panel in enumerate(line):
                _panel(panel, row, batch, example, vocabulary)
            _label(line, row, width)
    return figure


def _panel(
    panel: Any,
    mask: MaskExample | None,
    batch: Mapping[str, Tensor],
    example: int,
    vocabulary: Sequence[str],
) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    if mask is None:
        image = batch["image"][example].permute(1, 2, 0).numpy()
        pixels = 1 - image[..., 0] if image.shape[-1] == 1 else image
        panel.imshow(pixels, cmap="gray", clip_on=_CLIP)
        return
    shape = "equal" if mask.values.ndim == 4 else "auto"
    colours = picture(mask, example)
    panel.imshow(colours, interpolation="nearest", aspect=shape, clip_on=_CLIP)
    _show_under_pointer(panel, colours, _drop_count(mask, example))
    if mask.site.kind == "weight" and example:
        panel.clear()
        panel.set_axis_off()
    if mask.axes == ("batch", "time", "unit") and "tokens" in batch and vocabulary:
        _words(panel, batch["tokens"][example][:_TIMES].tolist(), vocabulary)


def _show_under_pointer(panel: Any, colours: np.ndarray, text: str) -> None:
    """Show a text over a whole image, which itself can carry none into SVG."""
    from matplotlib.patches import Rectangle

    height, width = colours.shape[:2]
    cover = Rectangle((-0.5, -0.5), width, height, alpha=0, clip_on=_CLIP)
    tip(cover, text)
    panel.add_patch(cover)


def _drop_count(mask: MaskExample, example: int) -> str:
    """The dropped share of a whole example or weight, of which the picture shows a part."""
    drops = mask.drops if mask.site.kind == "weight" else mask.drops[example]
    count, total = int(drops.sum()), drops.numel()
    return f"{mask.noise}: {count:,} of {total:,} values set to zero ({100 * count / total:.0f} %)"


def _words(panel: Any, ids: Sequence[int], vocabulary: Sequence[str]) -> None:
    panel.set_yticks(
        range(len(ids)), [picture_name(vocabulary[index], 18) for index in ids], fontsize=SMALL
    )
    panel.tick_params(length=0, pad=1)


def _label(line: Sequence[Any], mask: MaskExample | None, width: float) -> None:
    name = "input" if mask is None else picture_name(mask.noise)
    if mask is None:
        line[0].set_title(name, loc="left", fontweight="bold")
        return
    where = f"{brief(mask.rule.pattern)} at {picture_name(mask.site.name)}"
    if width >= WIDE:
        line[0].set_title(name, loc="left", fontweight="bold")
        line[-1].set_title(where, loc="right", fontsize=SMALL, color=QUIET)
    else:
        rate = getattr(mask.rule.pattern, "rate", None)
        ending = f", rate {rate:g}" if isinstance(rate, float) else ""
        # Of several columns, the layout would widen the first for the text.
        label = line[0].text(
            0,
            1.05,
            f"{name}{ending}",
            transform=line[0].transAxes,
            fontsize=SMALL,
            fontweight="bold",
        )
        label.set_in_layout(len(line) == 1)


def _height(mask: MaskExample) -> float:
    """In units of a row of inputs: sixteen words need more."""
    if mask.axes == ("batch", "time", "unit"):
        return 1.8
    return 1.0 if mask.values.ndim == 2 else 1.5


def picture(mask: MaskExample, example: int) -> np.ndarray:
    """One example as colours `[height, width, 3]`: grey by value, orange where dropped."""
    if mask.site.kind == "weight":
        return _colour(mask.values[:_UNITS, :_UNITS], mask.drops[:_UNITS, :_UNITS])
    values, drops = mask.values[example], mask.drops[example]
    if values.ndim == 3:
        tiles = [_colour(*pair) for pair in zip(values[:_TILES], drops[:_TILES], strict=True)]
        return _mosaic(tiles)
    if values.ndim == 2:
        return _colour(values[:_TIMES, :_UNITS], drops[:_TIMES, :_UNITS])
    width = 2 * _UNITS
    rows = max(1, min(len(values) // width, _TIMES))
    count = min(len(values), rows * width)
    return _colour(values[:count].reshape(rows, -1), drops[:count].reshape(rows, -1))


def _colour(values: Tensor, drops: Tensor) -> np.ndarray:
    size = values.abs().numpy()
    high = np.quantile(size, 0.98) or 1.0
    grey = 0.95 - 0.75 * np.clip(size / high, 0, 1)
    colours = np.repeat(grey[..., None], 3, axis=-1)
    colours[drops.numpy()] = _DROP_COLOUR
    return colours


def _mosaic(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Tiles side by side, four across, with white gaps."""
    height, width = tiles[0].shape[:2]
    down = -(-len(tiles) // _ACROSS)
    sheet = np.ones((down * (height + 1) - 1, _ACROSS * (width + 1) - 1, 3))
    for index, tile in enumerate(tiles):
        top, start = index // _ACROSS * (height + 1), index % _ACROSS * (width + 1)
        sheet[top : top + height, start : start + width] = tile
    return sheet
