"""Tables of a prediction: scores with and without averaging, and single inputs."""

from base64 import b64encode
from io import BytesIO

import torch
from torch import Tensor

from dropsmith.errors import printable
from dropsmith.report.cells import Cell, Grid
from dropsmith.report.judged_prediction import JudgedPrediction
from dropsmith.report.numbers import minus

SHOWN = 8
"""Inputs shown of either end."""

_LONGEST = 300
"""Letters shown of a text."""

_PERCENT = {
    "accuracy",
    "calibration error",
    "adaptive calibration error",
    "calibration error by class",
}


def score_text(name: str, number: float, *, sign: bool = False) -> str:
    """A score as it is printed; as a change, with its sign."""
    if name in _PERCENT:
        text = f"{100 * number:{'+' if sign else ''}.2f} %"
    else:
        text = f"{number:{'+' if sign else ''}.4f}"
    return minus(text)


def scores_grid(judged: JudgedPrediction) -> Grid:
    """A row for each score, a column for each way of predicting, and the change."""
    scores = {way: judged.scores(prediction) for way, prediction in judged.ways.items()}
    gains = judged.gains()
    rows: list[tuple[Cell, ...]] = []
    for name in next(iter(scores.values())):
        cells = [Cell(score_text(name, row[name])) for row in scores.values()]
        if gains:
            cells.append(_change(name, gains, scores))
        rows.append((Cell(name), *cells))
    heads = ("", *scores, *(["change by averaging"] if gains else []))
    return Grid(f"Scores over {len(judged.labels):,} inputs with a label", heads, tuple(rows))


def _change(
    name: str, gains: dict[str, tuple[float, float]], scores: dict[str, dict[str, float]]
) -> Cell:
    if name in gains:
        change, half = gains[name]
        return Cell(score_text(name, change, sign=True), f"± {score_text(name, half)}")
    before, after = (row[name] for row in scores.values())
    return Cell(score_text(name, after - before, sign=True))


def detection_grid(judged: JudgedPrediction) -> Grid | None:
    """The AUROC of each uncertainty for errors; None where nothing, or everything, is wrong."""
    rows = tuple((Cell(name), Cell(f"{area:.3f}")) for name, area in judged.detection().items())
    caption = "How well an uncertainty tells wrong predictions from right ones; 0.5 is chance"
    return Grid(caption, ("uncertainty", "AUROC"), rows) if rows else None


def most_and_least(judged: JudgedPrediction) -> tuple[list[int], list[int]]:
    """The inputs that the model is least and most sure of, the extreme ones first."""
    uncertainties = judged.uncertainties()
    if not uncertainties:
        return [], []
    unsure = next(iter(uncertainties.values()))
    order = unsure.argsort(descending=True, stable=True).tolist()
    half = min(SHOWN, len(order) // 2)
    return order[:half], order[::-1][:half]


def inputs_grid(judged: JudgedPrediction, indices: list[int], caption: str) -> Grid | None:
    """The inputs of some numbers: name, text, label, prediction and uncertainty."""
    if not indices:
        return None
    has_text = bool(judged.texts)
    heads = ("input", *(["text"] if has_text else []), "label", "prediction")
    heads += ("standard deviation",) if judged.is_regression else ("probability", "entropy")
    information = judged.mean.mutual_information
    heads += () if information is None else ("mutual information",)
    rows: list[tuple[Cell, ...]] = []
    for index in indices:
        cells = [Cell(_short(judged.mean.names[index]))]
        cells += [Cell(_short(judged.texts[index]))] if has_text else []
        cells += _numbers(judged, index)
        if information is not None:
            cells.append(Cell(f"{float(information[index]):.4f}"))
        rows.append(tuple(cells))
    return Grid(caption, heads, tuple(rows))


def _numbers(judged: JudgedPrediction, index: int) -> list[Cell]:
    mean = judged.mean
    if judged.is_regression:
        values = (judged.labels[index], mean.mean.view(len(judged.labels))[index])
        deviation = mean.variance.view(len(judged.labels))[index].clamp(min=0).sqrt()
        return [Cell(minus(f"{float(number):.4g}")) for number in (*values, deviation)]
    assert mean.entropy is not None
    label, predicted = int(judged.labels[index]), int(mean.mean[index].argmax())
    names = mean.classes or tuple(map(str, range(mean.mean.shape[1])))
    mark = "" if label == predicted else "worse"
    return [
        Cell(_short(names[label])),
        Cell(_short(names[predicted]), "wrong" if mark else ""),
        Cell(f"{float(mean.mean[index].max()):.3f}"),
        Cell(f"{float(mean.entropy[index]):.4f}"),
    ]


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def thumbnail(picture: Tensor) -> str:
    """A picture `[3, height, width]` or `[1, height, width]` in [0, 1] as an address of data."""
    from PIL import Image

    pixels = (picture.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8)
    array = pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    image = Image.fromarray(array)
    image.thumbnail((160, 160))
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()
