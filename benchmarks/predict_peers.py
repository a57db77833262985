"""Fifty samples by `predict`, by baal, by torch-uncertainty and by a plain loop.

The peers are no dependencies of the project. Install them into a folder of their own; one that is
not there is left out.

    pip install --no-deps --target peers baal==2.1.0 structlog torch-uncertainty==0.13.0 einops
    PYTHONPATH=peers python -m benchmarks.predict_peers

Both set dropout modules to drop in eval mode, so the models are of such modules: they know nothing
of dropout inside attention or of functional dropout, and the fast path of
`nn.TransformerEncoderLayer` skips dropout in eval mode. All ways return the mean probabilities.
torch-uncertainty is used by its one module `methods/mc_dropout.py`, which needs no torchvision.
"""

import sys
from copy import deepcopy
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from benchmarks.predict import by_hand, by_predict, small
from torch import Tensor, nn

SAMPLES = 50


def by_baal(model: nn.Module, batch: Tensor, *, replicated: bool) -> Call:
    """Its wrapper of a model whose dropout modules it replaces."""
    from baal.bayesian.dropout import patch_module  # pyright: ignore[reportMissingImports]
    from baal.modelwrapper import (  # pyright: ignore[reportMissingImports]
        ModelWrapper,
        TrainingArgs,
    )

    patched = patch_module(deepcopy(model).eval(), inplace=False)
    wrapper: Any = ModelWrapper(
        patched, TrainingArgs(use_cuda=batch.is_cuda, replicate_in_memory=replicated)
    )
    return lambda: wrapper.predict_on_batch(batch, iterations=SAMPLES).softmax(1).mean(-1)


def by_torch_uncertainty(model: nn.Module, batch: Tensor, *, stacked: bool) -> Call:
    """Its wrapper, which sets dropout modules to train mode."""
    wrapper = _mc_dropout()(deepcopy(model), SAMPLES, on_batch=stacked).eval()

    def call() -> Tensor:
        with torch.no_grad():
            scores = wrapper(batch).unflatten(0, (SAMPLES, -1))
        return scores.softmax(-1).mean(0)

    return call


def _mc_dropout() -> Any:
    package = find_spec("torch_uncertainty")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "methods" / "mc_dropout.py"
    spec = spec_from_file_location("mc_dropout_of_torch_uncertainty", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.mc_dropout


def comparison(name: str, model: nn.Module, batch: Tensor) -> Comparison:
    """A plain loop against the ways of each library that is there."""

    def ways(device: torch.device) -> dict[str, Call]:
        on, x = model.to(device), batch.to(device)
        found: dict[str, Call] = {"loop by hand": by_hand(deepcopy(on), x)}
        if find_spec("baal"):
            found["baal, loop"] = by_baal(on, x, replicated=False)
            found["baal, replicated in memory"] = by_baal(on, x, replicated=True)
        if find_spec("torch_uncertainty"):
            found["torch-uncertainty, loop"] = by_torch_uncertainty(on, x, stacked=False)
            found["torch-uncertainty, on the batch"] = by_torch_uncertainty(on, x, stacked=True)
        found["predict"] = by_predict(deepcopy(on).eval(), x)
        found["predict, independent"] = by_predict(deepcopy(on).eval(), x, draws="independent")
        return found

    return Comparison(name=f"{name}, {SAMPLES} samples", ways=ways)


def pictures() -> nn.Module:
    """Four convolutions without noise, and two layers with it."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, 64), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(64, 10),
    )  # fmt: skip


def noisy_pictures() -> nn.Module:
    """Convolutions with dropout of whole maps after each."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.1)]
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(1024, 10))


IMAGES = torch.randn(16, 3, 32, 32)
CASE = Case(
    name="predict_peers",
    tests=("tests/prediction/test_run_predict.py",),
    comparisons=(
        comparison("fully connected classifier, 64 rows", small(), torch.randn(64, 20)),
        comparison("convolutions, noise in the last layers, 16 pictures", pictures(), IMAGES),
        comparison("convolutions, noise in all layers, 16 pictures", noisy_pictures(), IMAGES),
    ),
    rounds=7,
)

if __name__ == "__main__":
    if not (find_spec("baal") and find_spec("torch_uncertainty")):
        print("not all peers are installed: a row of each that is missing is left out")
    main(CASE, sys.argv[1:])
