"""The uncertainty of a trained model over its test set, in numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from dropsmith.record import Record
    from dropsmith.train import Setup

ROWS = 64
"""Examples predicted at a time."""

ITEM_COUNT = 5


def check_items(setup: "Setup", name: str) -> None:
    """Raise `TaskError` where the test set has no single items of classes to be unsure of."""
    from dropsmith.errors import TaskError
    from dropsmith.tasks import Sequences, Stream
    from dropsmith.train import task_and_data

    task, data = task_and_data(setup)
    kinds = {Stream: "reads one long text", Sequences: "writes texts"}
    obstacle = kinds.get(type(data.test), "predicts values" if task.kind == "regression" else None)
    if obstacle is not None:
        raise TaskError(
            f"predict shows single items by their classes, and the task {task.name} {obstacle}\n"
            f"  to score the mean of many passes: dropsmith train {name} --samples 50"
        )


def uncertainty(setup: "Setup", record: "Record", folder: Path, samples: int) -> dict[str, Any]:
    """Scores with noise off and of the mean of samples, and what the samples disagree on.

    Entropy and mutual information are means in nats, over all items and over those predicted
    right and wrong.
    """
    from dropsmith.measures import reliability

    mean, entropy, information, labels = _items(setup, folder / record.id, samples)
    right = mean.argmax(-1) == labels
    calibration = reliability(mean, labels)
    unsure = information.argsort(descending=True)[:ITEM_COUNT].tolist()
    return {
        "record": record.id,
        "samples": samples,
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


def _items(setup: "Setup", run: Path, samples: int) -> "tuple[Tensor, Tensor, Tensor, Tensor]":
    """Mean probabilities, entropy, mutual information and label of every item that counts."""
    import torch

    from dropsmith.cli._model import load_trained_model
    from dropsmith.prediction import predict

    model, test = load_trained_model(setup, run)
    parts = []
    for start in range(0, len(test), ROWS):
        batch = test.rows(slice(start, start + ROWS))
        prediction = predict(model, batch, samples, plan=setup.plan, seed=setup.seed)
        assert prediction.entropy is not None
        assert prediction.mutual_information is not None
        valid = batch["labels"] != -100
        parts.append(
            (
                prediction.mean[valid],
                prediction.entropy[valid],
                prediction.mutual_information[valid],
                batch["labels"][valid],
            )
        )
    mean, entropy, information, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    return mean, entropy, information, labels


def _right_and_wrong(values: "Tensor", right: "Tensor") -> dict[str, float | None]:
    def mean(part: "Tensor") -> float | None:
        return float(part.double().mean()) if len(part) else None

    return {"all": mean(values), "right": mean(values[right]), "wrong": mean(values[~right])}
