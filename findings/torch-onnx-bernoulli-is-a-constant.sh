#!/usr/bin/env bash
# torch 2.13.0, torch.onnx.export(dynamo=True): a mask by torch.bernoulli of a constant probability, as dropout is
# often written by hand, is drawn once by the optimiser of the exporter and stored in the file. Every run then
# drops the same elements. A mask by torch.rand and a comparison stays random; with optimize=False the first
# does, too, so the two forms of one idea part in silence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" 2>/dev/null <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

path = Path(sys.argv[1]) / "model.onnx"
X = torch.ones(4, 50)


class Bernoulli(nn.Module):
    """Dropout by hand: a mask of coin flips."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.bernoulli(torch.full_like(x, 0.5)) * 2


class Uniform(nn.Module):
    """The same by uniform numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (torch.rand_like(x) < 0.5) * 2


def varies(model: nn.Module, optimize: bool) -> bool:
    """Whether two runs of the exported file differ."""
    torch.onnx.export(model, (X,), dynamo=True, verbose=False, optimize=optimize).save(path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    first, second = (session.run(None, {name: X.numpy()})[0] for _ in range(2))
    assert 0.3 < (first == 0).mean() < 0.7
    return not np.array_equal(first, second)


print("torch", torch.__version__, "onnxruntime", ort.__version__)
found = {
    (type(model).__name__, optimize): varies(model, optimize)
    for model in (Bernoulli(), Uniform())
    for optimize in (True, False)
}
for (name, optimize), random in found.items():
    print(f"{name}, optimize={optimize}: two runs {'differ' if random else 'are equal'}")
assert not found["Bernoulli", True], "the mask stays random now"
assert found["Bernoulli", False] and found["Uniform", True] and found["Uniform", False]
PYTHON
echo "as found: a mask of torch.bernoulli is stored as a constant"
