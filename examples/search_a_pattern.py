"""Search for a dropout plan with a model and a score function of your own.

The space is made from the model: which blocks of which layers may be dropped together. The score
trains a small network on handwritten digits under a plan and returns the log-likelihood of the
validation images. `search` proposes plans, runs the trainings in processes and keeps a study on
disk: the same command goes on where it was stopped. Afterwards the best plan is trained with new
seeds beside no dropout, because the best of many scores is better than the plan itself.

    python examples/search_a_pattern.py
    python examples/search_a_pattern.py --trials 60 --workers 2
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import dropsmith as ds


def main(argv: Sequence[str] | None = None) -> None:
    """Search, then compare on the test images."""
    args = arguments(argv)
    images, _ = digits("train", args.limit)
    score = Score(limit=args.limit, epochs=args.epochs)
    space = ds.spaces.conv(network(0), images[:2])
    print(f"{len(space.choices)} choices make a plan; {args.trials} plans are tried")
    result = ds.search(
        score,
        space,
        trials=args.trials,
        seed=args.seed,
        executor="serial" if args.workers == 1 else "local",
        workers=None if args.workers == 1 else args.workers,
        storage=args.storage,
    )
    print(f"best validation log-likelihood {result.score:.4f}, with this plan:")
    for rule in result.plan.rules:
        print(f"  {rule}")
    for name, plan in (("no dropout", ds.Plan()), ("the plan", result.plan)):
        values = [score.of(plan, seed, "test") for seed in range(1, 1 + args.seeds)]
        spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
        print(f"test log-likelihood with {name}: {fmean(values):.4f}{spread}")


@dataclass(frozen=True)
class Score:
    """The log-likelihood of held-out images after a training under a plan; higher is better.

    Args:
        limit: how many training images are used.
        epochs: how often each of them is seen.
    """

    limit: int
    epochs: int

    def __call__(self, plan: ds.Plan) -> float:
        """Of the validation images, with seed 0."""
        return self.of(plan, 0, "validation")

    def of(self, plan: ds.Plan, seed: int, part: str) -> float:
        """Of one part, with one seed of weights, order and noise."""
        model = network(seed)
        images, labels = digits("train", self.limit)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        with plan.installed(model, images[:2], seed=seed):
            for _ in range(self.epochs):
                for rows in torch.randperm(len(images)).split(50):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
                    optimizer.step()
        images, labels = digits(part)
        with torch.no_grad():
            return -nn.functional.cross_entropy(model.eval()(images), labels).item()


def network(seed: int) -> nn.Sequential:
    """Two convolutions and a linear layer."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


@lru_cache
def digits(part: str, limit: int | None = None) -> tuple[Tensor, Tensor]:
    """Images and labels of a third of the data; `limit` of the first ones."""
    pixels, labels = load_digits(return_X_y=True)
    rows = slice({"train": 0, "validation": 1, "test": 2}[part], None, 3)
    images = torch.as_tensor(pixels[rows]).float().reshape(-1, 1, 8, 8) / 16
    return images[:limit], torch.as_tensor(labels[rows])[:limit]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=12, help="how many plans are tried")
    parser.add_argument("--workers", type=int, default=1, help="processes that train")
    parser.add_argument("--limit", type=int, default=200, help="training images")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the comparison afterwards")
    parser.add_argument("--storage", default="runs/search-example.db", help="the study's file")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
