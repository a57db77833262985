"""Find wrong labels: predict every training example by a model that has not seen it.

Some labels of the handwritten digits are made wrong. The data is divided into parts; each part is
predicted, by the mean of many samples of dropout, by a model that was trained on the others. Its
examples are then ordered by the probability of their label, the least first: a person would look
at the first of the list. Printed is how many of those are wrong, for the mean of samples and for
one pass without noise, and the area under the ROC curve.

    python examples/find_wrong_labels.py
    python examples/find_wrong_labels.py --wrong 0.1 --seeds 5
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import dropsmith as ds
from dropsmith.measures import auroc

PARTS = 4


def main(argv: Sequence[str] | None = None) -> None:
    """Spoil labels, look for them, and count what was found."""
    args = arguments(argv)
    results = [search(args.wrong, seed, args.samples, args.epochs) for seed in range(args.seeds)]
    if args.out is not None:
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    count = results[0]["wrong labels"]
    print(f"{count:.0f} wrong labels among {results[0]['labels']:.0f}, mean of {args.seeds} seeds")
    for way in ("one pass", "mean of samples"):
        found = fmean(result[f"{way}: found"] for result in results)
        area = fmean(result[f"{way}: area"] for result in results)
        print(f"{way:>16}: {found:.1f} wrong among the first {count:.0f}; area {area:.4f}")


def search(wrong: float, seed: int, samples: int, epochs: int) -> dict[str, float]:
    """How many wrong labels stand first in the list, and the area under the ROC curve."""
    torch.manual_seed(seed)
    images, labels = map(torch.as_tensor, load_digits(return_X_y=True))
    images = images.float() / 16
    count = round(wrong * len(labels))
    spoiled = torch.randperm(len(labels)) < count
    given = torch.where(spoiled, (labels + torch.randint(1, 10, labels.shape)) % 10, labels)
    part = torch.randperm(len(labels)) % PARTS
    doubts = {way: torch.empty(len(labels)) for way in ("one pass", "mean of samples")}
    for number in range(PARTS):
        held = part == number
        model = train(images[~held], given[~held], epochs)
        with torch.no_grad():
            doubts["one pass"][held] = doubt(model.eval()(images[held]).softmax(1), given[held])
        mean = ds.predict(model, images[held], samples=samples, seed=seed).mean
        doubts["mean of samples"][held] = doubt(mean, given[held])
    result = {"wrong labels": float(count), "labels": float(len(labels))}
    for way, numbers in doubts.items():
        result[f"{way}: found"] = float(spoiled[numbers.topk(count).indices].sum())
        result[f"{way}: area"] = auroc(numbers, spoiled)
    return result


def doubt(probabilities: Tensor, labels: Tensor) -> Tensor:
    """One less the probability of each label."""
    return 1 - probabilities.gather(1, labels[:, None]).squeeze(1)


def train(images: Tensor, labels: Tensor, epochs: int) -> nn.Module:
    """A network of two hidden layers with dropout."""
    model = nn.Sequential(
        *(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10)),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    return model


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wrong", type=float, default=0.05, help="the share of wrong labels")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, help="a file for the numbers of each seed, as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
