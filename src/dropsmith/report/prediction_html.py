"""One HTML page of a prediction whose inputs have labels: how good and how sure it is."""

from collections.abc import Mapping
from pathlib import Path

from dropsmith.files import write_text
from dropsmith.measures import risk_coverage
from dropsmith.report.html import (
    check_regular,
    contents,
    document,
    escape,
    facts,
    heading,
    paragraph,
    section,
    table,
)
from dropsmith.report.inline_svg import picture
from dropsmith.report.judged_prediction import JudgedPrediction
from dropsmith.report.prediction_figures import reliability_figure, risk_figure
from dropsmith.report.prediction_grids import (
    detection_grid,
    inputs_grid,
    most_and_least,
    score_text,
    scores_grid,
    thumbnail,
)

_KEPT = 0.8


def write_prediction_page(
    judged: JudgedPrediction, path: Path, title: str, settings: Mapping[str, str]
) -> Path:
    """Write the page to a file, whole or not at all, and return its path.

    Args:
        judged: the prediction.
        path: of the page.
        title: its heading.
        settings: what was predicted and how, by name.

    Raises:
        DataError: the path is a link, or no file.
    """
    check_regular(path)
    write_text(path, prediction_page(judged, title, settings))
    return path


def prediction_page(judged: JudgedPrediction, title: str, settings: Mapping[str, str]) -> str:
    """The page as text; arguments as in `write_prediction_page`."""
    least, most = most_and_least(judged)
    sections = [
        section("scores", "Scores", table(scores_grid(judged), "scores"), _interval_note(judged)),
        section("reliability", "Are its probabilities right?", _reliability(judged)),
        section("risk", "What leaving out unsure inputs gains", *_risk(judged)),
        section(
            "least-certain",
            "The least certain inputs",
            _gallery(judged, least),
            table(inputs_grid(judged, least, "The inputs it is least sure of"), "least-certain"),
        ),
        section(
            "most-certain",
            "The most certain inputs",
            _gallery(judged, most),
            table(inputs_grid(judged, most, "The inputs it is most sure of"), "most-certain"),
        ),
        section("settings", "Settings", facts(settings)),
    ]
    body = [
        heading(title),
        f'<div class="answer">\n{paragraph(summary(judged))}\n</div>',
        contents(sections),
        *sections,
    ]
    return document(f"{title} · dropsmith", "\n".join(part for part in body if part))


def summary(judged: JudgedPrediction) -> str:
    """What averaging changed, and what the uncertainty is worth, in sentences."""
    gains, count = judged.gains(), len(judged.labels)
    sentences: list[str] = []
    names = ("squared error",) if judged.is_regression else ("accuracy", "NLL")
    for name in names:
        if name not in gains:
            continue
        change, half = gains[name]
        size = f"{score_text(name, change, sign=True)} ± {score_text(name, half)}"
        effect = "raised" if change > 0 else "lowered"
        if abs(change) <= half:
            effect = "made no detectable difference in"
        sentences.append(
            f"Averaging {judged.mean.samples} samples {effect} the {name} ({size} on {count:,} "
            "inputs)."
        )
    if not gains:
        sentences.append(f"The prediction is of {count:,} inputs with a label, by one pass.")
    for name, unsure in list(judged.uncertainties().items())[:1]:
        curve = risk_coverage(unsure, judged.wrong)
        kept = curve.risk[(curve.coverage <= _KEPT + 1e-9).nonzero()[-1]] if count >= 5 else None
        if kept is None:
            continue
        before, after = float(curve.risk[-1]), float(kept)
        what = "error rate"
        if judged.is_regression:
            before, after, what = before**0.5, after**0.5, "RMSE"
        shown = ["accuracy" if what == "error rate" else what] * 2
        sentences.append(
            f"Of the surest 80 % by {name}, the {what} is {score_text(shown[0], after)}; "
            f"of all it is {score_text(shown[1], before)}."
        )
    return " ".join(sentences)


def _interval_note(judged: JudgedPrediction) -> str:
    if not judged.gains():
        return ""
    return paragraph(
        "The intervals hold 95 % and are over inputs, for this one trained model; another training "
        "of the same model would differ by more.",
        "caption",
    )


def _reliability(judged: JudgedPrediction) -> str:
    return picture(
        "reliability",
        lambda width: reliability_figure(judged, width),
        "Reliability diagram: the share of right predictions against their probability",
        "Bars show the share of predictions that are right among those of about the same "
        "probability. On the dashed line, both are equal: bars below it are of a model that is too "
        "sure. Below: how many of the inputs have such a probability.",
    )


def _risk(judged: JudgedPrediction) -> list[str]:
    drawn = picture(
        "risk",
        lambda width: risk_figure(judged, width),
        "Risk–coverage curves: the error of the surest inputs against their share",
        "From right to left more of the least sure inputs are left out, for a person to look at. "
        "The lower the line, the better the uncertainty knows which predictions are wrong.",
    )
    return [drawn, table(detection_grid(judged), "detection")]


def _gallery(judged: JudgedPrediction, indices: list[int]) -> str:
    if judged.pictures is None or not indices:
        return ""
    figures = "\n".join(
        f'<img src="{thumbnail(judged.pictures[index])}" alt="{escape(judged.mean.names[index])}" '
        f'title="{escape(judged.mean.names[index])}">'
        for index in indices
    )
    return f'<div class="thumbnails">\n{figures}\n</div>'
