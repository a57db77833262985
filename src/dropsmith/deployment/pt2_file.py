"""PyTorch's own format."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dropsmith.deployment.file_format import FileFormat, Run
from dropsmith.deployment.inputs import NUMBER, SEED
from dropsmith.deployment.quiet import quiet
from dropsmith.deployment.trace import Traced


class Pt2(FileFormat):
    """A program of `torch.export`, for torch alone and for AOTInductor."""

    name, suffix, runtime = "pt2", ".pt2", "torch.export"

    def write(self, traced: Traced, path: Path) -> None:
        with quiet():
            torch.export.save(traced.program, path)

    def load(self, path: Path) -> Run:
        with quiet():
            module = torch.export.load(path).module()

        def run(inputs: Mapping[str, Tensor]) -> list[Tensor]:
            tensors = {name: x for name, x in inputs.items() if name not in (SEED, NUMBER)}
            with torch.no_grad():
                return list(module(inputs[SEED], inputs[NUMBER], **tensors))

        return run
