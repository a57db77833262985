"""The uncertainty of a trained model over its test set, in numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.cli._samples import SampleCount, samples_in_words

if TYPE_CHECKING:
    from torch import Tensor

    from dropsmith.record import Record
    from dropsmith.report import JudgedPrediction
    from dropsmith.train import Setup

ROWS = 64
"""Examples predicted at a time."""

ITEM_COUNT = 5


def check_items(setup: "Setup", name: str) -> None:
    """Raise `TaskError` unless the test set has single items with classes."""
    from dropsmith.errors import TaskError
    from dropsmith.tasks import Sequences, Stream
    from dropsmith.train import task_and_data

    task, data = task_and_data(setup)
    kinds = {Stream: "reads one long text", Sequences: "writes texts"}
    obstacle = kinds.get(type(data.test), "predicts values" if task.kind == "regression" else None)
    if obstacle is not None:
        raise TaskError(
            f"predict needs single items with classes, but the task {task.name} {obstacle}\n"
            f"  to score the mean of many passes: dropsmith train {name} --samples 50"
        )


def uncertainty(
    setup: "Setup",
    record: "Record",
    folder: Path,
    samples: SampleCount,
    page: Path | None = None,
    tolerance: float | None = None,
) -> dict[str, Any]:
    """Scores without noise and of the mean of samples, and the items with most disagreement.

    Entropy and mutual information are means in nats, over all items and over those predicted
    right and wrong. A page shows all of it.

    Args:
        setup, record: of the run.
        folder: that holds the run.
        samples, tolerance: the number of passes that are averaged, as in `predict`.
        page: the path of the page; by default `predictions.html` in the folder of the run.
    """
    from dropsmith.measures import reliability
    from dropsmith.report import write_prediction_page

    judged, counts = _judged(setup, folder / record.id, samples, tolerance)
    mean, information, labels = judged.mean.mean, judged.mean.mutual_information, judged.labels
    entropy = judged.mean.entropy
    assert information is not None
    assert entropy is not None
    right = mean.argmax(-1) == labels
    calibration = reliability(mean, labels)
    unsure = information.argsort(descending=True)[:ITEM_COUNT].tolist()
    settings = {"run": record.id, "task": setup.task, "method": setup.method}
    settings |= {"samples": samples_in_words(counts), "seed": str(setup.seed)}
    page = page or folder / record.id / "predictions.html"
    write_prediction_page(judged, page, f"{setup.task}: predictions of the test set", settings)
    return {
        "record": record.id,
        "page": str(page),
        "samples": judged.mean.samples,
        "samples_by_batch": counts,
        "items": len(labels),
        "one_pass_without_noise": {
            name: record.scores[f"test_{name}"] for name in ("accuracy", "nll", "calibration_error")
        },
        "mean_of_samples": {
            "accuracy": float(right.double().mean()),
            "nll": calibration.nll,
            "calibration_error": calibration.error,
        },
        "entropy": _right_and_wrong(entropy, right),
        "mutual_information": _right_and_wrong(information, right),
        "least_sure": [
            {
                "item": index,
                "label": int(labels[index]),
                "predicted": int(mean[index].argmax()),
                "probability": float(mean[index].max()),
                "mutual_information": float(information[index]),
            }
            for index in unsure
        ],
    }


def _judged(
    setup: "Setup", run: Path, samples: SampleCount, tolerance: float | None
) -> "tuple[JudgedPrediction, list[int]]":
    """The predictions of every item that is not ignored, by samples and by one pass.

    Beside them, the number of samples of each batch.
    """
    import torch

    from dropsmith.batches import call
    from dropsmith.cli._model import load_trained_model
    from dropsmith.passes import logits_of
    from dropsmith.prediction import join_predictions, one_pass, predict
    from dropsmith.report import JudgedPrediction, of_inputs, pictures_of

    model, test = load_trained_model(setup, run)
    means, passes, labels = [], [], []
    for start in range(0, len(test), ROWS):
        batch = test.rows(slice(start, start + ROWS))
        means.append(
            predict(model, batch, samples, plan=setup.plan, seed=setup.seed, tolerance=tolerance)
        )
        with torch.no_grad():
            passes.append(one_pass(logits_of(call(model, batch)), "classification"))
        labels.append(batch["labels"])
    of_all = torch.cat(labels)
    known = of_all != -100
    pictures = pictures_of(test.rows(slice(0, len(test)))) if of_all.ndim == 1 else None
    judged = JudgedPrediction(
        mean=of_inputs(join_predictions(means), known),
        one_pass=of_inputs(join_predictions(passes), known),
        labels=of_all[known],
        pictures=None if pictures is None else pictures[known],
    )
    return judged, [mean.samples for mean in means]


def _right_and_wrong(values: "Tensor", right: "Tensor") -> dict[str, float | None]:
    def mean(part: "Tensor") -> float | None:
        return float(part.double().mean()) if len(part) else None

    return {"all": mean(values), "right": mean(values[right]), "wrong": mean(values[~right])}
