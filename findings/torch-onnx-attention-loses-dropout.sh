#!/usr/bin/env bash
# torch 2.13.0, torch.onnx.export(dynamo=True): the dropout of nn.MultiheadAttention is not in the exported graph,
# although the model is in train mode and the exporter says that it exports it so. The same model with nn.Dropout
# has its Dropout node. Served for Monte-Carlo dropout, a Transformer loses the noise of its attention alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import torch
from torch import nn

RATE = 0.5


class Attends(nn.Module):
    """Attention of a sequence to itself, with dropout inside of it or after it."""

    def __init__(self, inside: float, after: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=inside, batch_first=True)
        self.dropout = nn.Dropout(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.attention(x, x, x, need_weights=False)[0])


def operators(model: nn.Module) -> set[str]:
    """The kinds of nodes in what is exported."""
    program = torch.onnx.export(model, (torch.randn(2, 5, 8),), dynamo=True, verbose=False)
    return {node.op_type for node in program.model.graph}


x = torch.randn(2, 5, 8)
inside, after = Attends(RATE, 0.0).train(), Attends(0.0, RATE).train()
assert not torch.equal(inside(x), inside(x)), "torch itself drops nothing there"
print("torch", torch.__version__)
found = {name: "Dropout" in operators(model) for name, model in (("inside", inside), ("after", after))}
for name, is_there in found.items():
    print(f"dropout {name} attention: {'a Dropout node' if is_there else 'no Dropout node'}")
assert found["after"], "the exporter writes no Dropout node at all"
assert not found["inside"], "the dropout of attention is exported now"
PYTHON
echo "as found: the exported attention has no dropout"
