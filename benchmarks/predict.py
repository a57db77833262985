"""`predict` of 50 samples against a loop of 50 forwards in train mode, as it is done by hand."""

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from benchmarks._models import Encoder
from torch import Tensor, nn

from dropsmith.prediction import predict

SAMPLES = 50


def by_hand(model: nn.Module, batch: Tensor) -> Call:
    """Torch's own noise, one forward for each sample; no entropies, no variance."""

    def call() -> Tensor:
        model.train()
        with torch.no_grad():
            return torch.stack([model(batch).softmax(-1) for _ in range(SAMPLES)]).mean(0)

    return call


def by_predict(model: nn.Module, batch: Tensor, **settings: object) -> Call:
    """The same with masks that come back, and uncertainty."""
    return lambda: predict(model, batch, SAMPLES, **settings)  # pyright: ignore


def comparison(name: str, model: nn.Module, batch: Tensor) -> Comparison:
    """A loop by hand against `predict`, with and without its shortcuts."""

    def ways(device: torch.device) -> dict[str, Call]:
        own, x = model.to(device), batch.to(device)
        return {
            "loop by hand": by_hand(own, x),
            "predict": by_predict(own, x),
            "predict, no replay": by_predict(own, x, replay=False),
            "predict, looped": by_predict(own, x, mode="looped"),
            "predict, looped, no replay": by_predict(own, x, mode="looped", replay=False),
        }

    return Comparison(name=f"{name}, {SAMPLES} samples", ways=ways, threads=2)


def small() -> nn.Module:
    """A classifier of rows of a table."""
    layers = [nn.Linear(20, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(128, 5))


def texts(rows: int) -> Tensor:
    """Word ids of texts."""
    return torch.arange(rows * 64).view(rows, 64) * 37 % 8000


CASE = Case(
    name="predict",
    tests=("tests/prediction",),
    comparisons=(
        comparison("6 layers, noise in the top 2, 8 texts", Encoder(layers=6, noisy=2), texts(8)),
        comparison("6 layers, noise in all, 8 texts", Encoder(layers=6), texts(8)),
        comparison("6 layers, noise in all, 1 text", Encoder(layers=6), texts(1)),
        comparison("small classifier, 64 rows", small(), torch.randn(64, 20)),
    ),
    rounds=7,
)

if __name__ == "__main__":
    main(CASE)
