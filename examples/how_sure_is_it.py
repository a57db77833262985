"""Train on handwritten digits with dropout, then ask which test images the model does not know.

Every test image is predicted with many noisy passes. The images on which they disagree most (the
mutual information is highest) are shown, and the accuracy among the images that the model is surest
of stands beside that among the others: mistakes should gather where it says it is unsure.

    python examples/how_sure_is_it.py
    python examples/how_sure_is_it.py --samples 200 --show 5
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dropsmith.measures import reliability
from dropsmith.objectives.losses import classification
from dropsmith.prediction import Prediction, predict
from dropsmith.tasks import Data, find_task

SHADES = " .:-=+*#%@"


def main(argv: Sequence[str] | None = None) -> None:
    """Train, predict, report."""
    args = arguments(argv)
    torch.manual_seed(args.seed)
    task = find_task("digits")
    data = task.load(limit=args.limit)
    model, plan = task.model(data), task.plan("dropout", args.rate)
    with plan.installed(model, data.train.rows(slice(0, 8)), seed=args.seed):
        train(model, data, args.epochs)
        test = data.test.rows(slice(None))
        prediction = predict(model, test, samples=args.samples)
    report(prediction, test["labels"])
    show(prediction, test["image"], test["labels"], args.show)


def train(model: nn.Module, data: Data, epochs: int) -> None:
    """An ordinary loop: the noise is in the model."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.train)).split(50):
            batch = data.train.rows(rows)
            optimizer.zero_grad()
            classification(model(batch["image"]), batch["labels"]).mean.value.backward()
            optimizer.step()


def report(prediction: Prediction, labels: Tensor) -> None:
    """How good it is, how calibrated, and whether being sure means being right."""
    right = (prediction.mean.argmax(-1) == labels).float()
    found = reliability(prediction.mean, labels)
    print(f"{len(labels)} test images, {prediction.samples} samples of the noise")
    print(f"accuracy {right.mean():.1%}, calibration error {found.error:.3f}, nll {found.nll:.3f}")
    order = doubt(prediction).argsort()
    sure, unsure = right[order].chunk(2)
    print(f"right among the surer half {sure.mean():.1%}, among the other {unsure.mean():.1%}")


def show(prediction: Prediction, images: Tensor, labels: Tensor, count: int) -> None:
    """The images on which the samples disagree most."""
    unsure = doubt(prediction)
    for i in unsure.argsort(descending=True)[:count].tolist():
        sure, guesses = prediction.mean[i].topk(2)
        said = " or ".join(f"{g} ({p:.0%})" for g, p in zip(guesses, sure, strict=True))
        print(f"\nimage {i}: {said}; it is {labels[i]}; mutual information {unsure[i]:.2f}")
        for row in images[i, 0]:
            print("  " + "".join(2 * SHADES[int(pixel * (len(SHADES) - 1))] for pixel in row))


def doubt(prediction: Prediction) -> Tensor:
    """What the model does not know of each image, in nats."""
    assert prediction.mutual_information is not None, "digits are classes"
    return prediction.mutual_information


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--limit", type=int, help="use only this many training images")
    parser.add_argument("--rate", type=float, default=0.3, help="chance of dropping")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--show", type=int, default=3, help="how many images to show")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
