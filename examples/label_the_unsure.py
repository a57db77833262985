"""Active learning: label the digits that the samples of dropout disagree on, or some at random.

A classifier of handwritten digits begins with 20 labels and gets 10 more in each round. They are
chosen at random, by the entropy of the mean prediction, or by the mutual information between
prediction and noise, which is BALD (Houlsby et al. 2011; Gal, Islam & Ghahramani 2017). Printed is
the test accuracy by number of labels, its mean and its standard deviation over seeds.

    python examples/label_the_unsure.py
    python examples/label_the_unsure.py --seeds 2 --rounds 5 --out active.json
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import dropsmith as ds
from dropsmith.report import BLUE, INK, ORANGE, blank, drawing, svg

FIRST, MORE, TEST = 20, 10, 600
WAYS = ("random", "entropy", "mutual information")

Digits = tuple[Tensor, Tensor]
"""Pixels `[images, 64]` in [0, 1] and their labels."""


def main(argv: Sequence[str] | None = None) -> None:
    """Learn in each way with each seed, and print the curves."""
    args = arguments(argv)
    curves = {
        way: [learn(way, seed, args.rounds, args.samples, args.steps) for seed in range(args.seeds)]
        for way in WAYS
    }
    counts = [FIRST + MORE * number for number in range(args.rounds + 1)]
    print(f"test accuracy (%) on {TEST} digits, mean ± standard deviation of {args.seeds} seeds")
    print("labels  " + "  ".join(f"{way:>18}" for way in WAYS))
    for place, count in enumerate(counts):
        cells = [spread([curve[place] for curve in curves[way]]) for way in WAYS]
        print(f"{count:6d}  " + "  ".join(f"{cell:>18}" for cell in cells))
    if args.out is not None:
        args.out.write_text(json.dumps({"labels": counts, "accuracy": curves}, indent=1) + "\n")
    if args.picture is not None:
        draw(counts, curves, args.picture)


def learn(way: str, seed: int, rounds: int, samples: int, steps: int) -> list[float]:
    """The test accuracy after each round. All ways of a seed begin with the same labels."""
    generator = torch.Generator().manual_seed(seed)
    images, labels = map(torch.as_tensor, load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=generator)
    images, labels = images[order].float() / 16, labels[order]
    test: Digits = images[:TEST], labels[:TEST]
    pool: Digits = images[TEST:], labels[TEST:]
    known = torch.zeros(len(pool[1]), dtype=torch.bool)
    known[:FIRST] = True
    accuracies: list[float] = []
    for number in range(rounds + 1):
        model = train((pool[0][known], pool[1][known]), 1000 * seed + number, steps)
        accuracies.append(accuracy(model, test))
        unknown = (~known).nonzero().squeeze(1)
        known[unknown[choose(way, model, pool[0][unknown], samples, generator)]] = True
    return accuracies


def choose(
    way: str, model: nn.Module, images: Tensor, samples: int, generator: torch.Generator
) -> Tensor:
    """The places of the images to label next."""
    if way == "random":
        return torch.randperm(len(images), generator=generator)[:MORE]
    prediction = ds.predict(model, images, samples=samples)
    unsure = prediction.entropy if way == "entropy" else prediction.mutual_information
    assert unsure is not None
    return unsure.topk(MORE).indices


def train(data: Digits, seed: int, steps: int) -> nn.Module:
    """A new network, trained on whole batches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            *(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
        )
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data[0]), data[1]).backward()
            optimizer.step()
    return model


def accuracy(model: nn.Module, test: Digits) -> float:
    """The share of the test images that one pass without noise gets right."""
    model.eval()
    with torch.no_grad():
        return float((model(test[0]).argmax(1) == test[1]).float().mean())


def draw(counts: Sequence[int], curves: Mapping[str, Sequence[Sequence[float]]], to: Path) -> None:
    """A line for each way, the mean over seeds, with the standard error around it."""
    with drawing():
        figure = blank(7.2, 3.4)
        axes = figure.subplots()
        for (way, runs), colour in zip(curves.items(), (INK, ORANGE, BLUE), strict=True):
            accuracies = 100 * torch.tensor(runs, dtype=torch.float64)
            mean = accuracies.mean(0)
            axes.plot(counts, mean, color=colour, label=way, linewidth=1.6)
            if len(runs) > 1:
                error = accuracies.std(0) / len(runs) ** 0.5
                axes.fill_between(
                    counts, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0
                )
        axes.set_xlabel("labels")
        axes.set_ylabel("test accuracy (%)")
        axes.grid(visible=True, linewidth=0.6)
        axes.legend(frameon=False)
        to.write_text(svg(figure))


def spread(accuracies: Sequence[float]) -> str:
    """Mean and standard deviation in per cent."""
    deviation = f" ± {100 * stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * fmean(accuracies):.1f}{deviation}"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=18)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, help="a file for the accuracies, as JSON")
    parser.add_argument("--picture", type=Path, help="a file for the curves, as SVG")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
